//! Which frames a packet socket is given: a program of the classic BPF, made for the interfaces that are watched.

use std::collections::BTreeMap;

/// `SKF_AD_OFF`: beyond it are not a frame's bytes, but what the kernel knows of it.
const ABOUT: u32 = -0x1000_i32 as u32;
const PACKET_TYPE: u32 = ABOUT.wrapping_add(libc::SKF_AD_PKTTYPE as u32);
const INTERFACE: u32 = ABOUT.wrapping_add(libc::SKF_AD_IFINDEX as u32);
/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JA`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `PACKET_OUTGOING`: of a frame that the host sends.
const SENT: u32 = 4;
/// All of the frame.
const TAKE: u32 = u32::MAX;
const LEAVE: u32 = 0;

/// Most interfaces that a filter has room for: the kernel takes 4096 instructions (`BPF_MAXINSNS`).
pub const MAX_INTERFACES: usize = 1000;

/// The program that takes what these interfaces receive, by index, and what is sent on those with `true`.
pub fn program(interfaces: &BTreeMap<u32, bool>) -> Vec<libc::sock_filter> {
    let of_received = those(interfaces.keys());
    let of_sent = those(interfaces.iter().filter(|(_, sent)| **sent).map(|(i, _)| i));
    let mut program = vec![
        op(LOAD, PACKET_TYPE, 0, 0),
        op(JUMP_IF_EQUAL, SENT, 0, 1),
        op(JUMP, of_received.len() as u32, 0, 0),
    ];
    program.extend(of_received);
    program.extend(of_sent);
    program
}

fn op(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// The end of a program: it takes the frames of these.
fn those<'i>(interfaces: impl Iterator<Item = &'i u32>) -> Vec<libc::sock_filter> {
    let mut program = vec![op(LOAD, INTERFACE, 0, 0)];
    for index in interfaces {
        program.push(op(JUMP_IF_EQUAL, *index, 0, 1));
        program.push(op(RETURN, TAKE, 0, 0));
    }
    program.push(op(RETURN, LEAVE, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program says of a frame.
    fn run(program: &[libc::sock_filter], interface: u32, packet_type: u32) -> bool {
        let (mut at, mut a) = (0, 0);
        loop {
            let op = program[at];
            at += 1;
            match op.code {
                LOAD if op.k == INTERFACE => a = interface,
                LOAD => a = packet_type,
                JUMP => at += op.k as usize,
                JUMP_IF_EQUAL => at += usize::from(if a == op.k { op.jt } else { op.jf }),
                _ => return op.k == TAKE,
            }
        }
    }

    #[test]
    fn it_takes_what_is_watched() {
        let of = [(2, true), (3, false), (70_000, true)].into_iter().collect();
        let p = program(&of);
        for (interface, received, sent) in [
            (2, true, true),
            (3, true, false),
            (70_000, true, true),
            (1, false, false),
            (4, false, false),
        ] {
            assert_eq!(run(&p, interface, 0), received, "{interface}");
            assert_eq!(run(&p, interface, 3), received, "{interface}: for another host");
            assert_eq!(run(&p, interface, SENT), sent, "{interface}");
        }
        assert!(!run(&program(&BTreeMap::new()), 2, 0));
    }

    #[test]
    fn the_kernel_has_room_for_it() {
        let many = (0..MAX_INTERFACES as u32).map(|i| (i, true)).collect();
        assert!(program(&many).len() <= 4096);
    }
}

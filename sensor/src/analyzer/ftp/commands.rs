//! Commands, as far as what they are decides what is told of them.

/// Those that are logged with their replies (Zeek: FTP::logged_commands).
const LOGGED: &[&[u8]] = &[
    b"APPE", b"DELE", b"RETR", b"STOR", b"STOU", b"ACCT", b"PORT", b"PASV", b"EPRT", b"EPSV",
];
/// Those whose argument is a file or a directory.
const OF_FILES: &[&[u8]] = &[
    b"APPE", b"CWD", b"DELE", b"MKD", b"RETR", b"RMD", b"RNFR", b"RNTO", b"STOR", b"STOU", b"REST", b"SIZE",
    b"MDTM",
];
/// Users that need no secret: what they say for a password is shown (Zeek: FTP::guest_ids).
const GUESTS: &[&[u8]] = &[b"anonymous", b"ftp", b"ftpuser", b"guest"];

/// Stands for what the server's greeting answers.
pub const INIT: &[u8] = b"<init>";

/// A syntax error answers every command.
const SYNTAX_ERROR: u16 = 500;

pub fn is_logged(command: &[u8]) -> bool {
    LOGGED.contains(&command)
}

pub fn is_of_files(command: &[u8]) -> bool {
    OF_FILES.contains(&command)
}

pub fn is_guest(user: &[u8]) -> bool {
    GUESTS.iter().any(|guest| user.eq_ignore_ascii_case(guest))
}

/// Whether a reply with this code may answer the command (RFC 959, 1639, 2389, 2428 and 3659; Zeek: FTP::cmd_reply_code).
pub fn may_answer(command: &[u8], code: u16) -> bool {
    code == SYNTAX_ERROR || replies(command).contains(&code)
}

fn replies(command: &[u8]) -> &'static [u16] {
    match command {
        // 0 is what goes on.
        INIT => &[120, 220, 421, 0],
        b"<missing>" => &[0],
        b"QUIT" => &[221, 500, 0],
        b"USER" => &[230, 331, 332, 421, 530, 500, 501],
        b"PASS" => &[230, 202, 332, 421, 530, 500, 501, 503],
        b"ACCT" => &[230, 202, 421, 530, 500, 501, 503],
        b"CWD" => &[250, 421, 500, 501, 502, 530, 550],
        b"CDUP" => &[200, 250, 421, 500, 501, 502, 530, 550],
        b"SMNT" => &[202, 250, 421, 500, 501, 502, 530, 550],
        b"REIN" => &[120, 220, 421, 500, 502],
        b"PORT" => &[200, 421, 500, 501, 530],
        b"PASV" => &[227, 421, 500, 501, 502, 530],
        b"MODE" => &[200, 421, 500, 501, 502, 504, 530],
        b"TYPE" | b"STRU" => &[200, 421, 500, 501, 504, 530],
        b"ALLO" => &[200, 202, 421, 500, 501, 504, 530],
        b"REST" => &[200, 350, 421, 500, 501, 502, 530],
        b"STOR" | b"STOU" => &[
            110, 125, 150, 226, 250, 421, 425, 426, 451, 551, 552, 532, 450, 452, 553, 500, 501, 530, 550,
        ],
        b"RETR" => &[
            110, 125, 150, 226, 250, 421, 425, 426, 451, 450, 500, 501, 530, 550,
        ],
        b"LIST" | b"NLST" => &[
            125, 150, 226, 250, 421, 425, 426, 451, 450, 500, 501, 502, 530, 550,
        ],
        b"APPE" => &[
            125, 150, 226, 250, 421, 425, 426, 451, 551, 552, 532, 450, 550, 452, 553, 500, 501, 502, 530,
        ],
        b"RNFR" => &[350, 421, 450, 550, 500, 501, 502, 530],
        b"RNTO" => &[250, 421, 532, 553, 500, 501, 502, 503, 530],
        b"DELE" => &[250, 421, 450, 550, 500, 501, 502, 530],
        b"RMD" => &[250, 421, 500, 501, 502, 530, 550],
        b"MKD" => &[257, 421, 500, 501, 502, 530, 550],
        b"PWD" => &[257, 421, 500, 501, 502, 550],
        b"ABOR" => &[225, 226, 421, 500, 501, 502],
        b"SYST" => &[215, 421, 500, 501, 502, 530],
        b"STAT" => &[211, 212, 213, 421, 450, 500, 501, 502, 530],
        b"HELP" => &[200, 211, 214, 421, 500, 501, 502],
        b"SITE" => &[200, 202, 214, 500, 501, 502, 530],
        b"NOOP" => &[200, 421, 500],
        b"LPRT" => &[500, 501, 521],
        b"FEAT" => &[211, 500, 502],
        b"OPTS" => &[200, 451, 501],
        b"EPSV" => &[229, 500, 501],
        b"EPRT" => &[200, 500, 501, 522],
        b"SIZE" | b"MDTM" => &[213, 500, 501, 550],
        b"MLST" | b"MLSD" => &[150, 226, 250, 500, 501, 550],
        b"CLNT" => &[200, 500],
        b"MACB" => &[200, 500, 550],
        _ => &[],
    }
}

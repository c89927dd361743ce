//! Reassembly of IP fragments.

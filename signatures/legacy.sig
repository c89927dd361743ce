# Four protocols of the early 2000s, for the events that Bro once had for them. Each is known by how its connections begin.
# To be given as --signatures; events of the stream are the only trace, as these have no message for signatures.log.

# The FTP server that a Gaobot worm runs to spread itself, by its greeting.
signature legacy-gaobot {
  ip-proto == tcp
  tcp-state established,responder
  payload /^220 Bot Server \(Win32\)/
  event gaobot_signature_found
}

# Kazaa (FastTrack): a file is asked for by its hash, or offered to who could not be reached.
signature legacy-kazaa-request {
  ip-proto == tcp
  tcp-state established,originator
  payload /^(GET \/\.hash=[[:xdigit:]]+ HTTP\/1\.|GIVE [0-9]{1,10}\r?\n)/
  event kazaa_signature_found
}

# Headers that only Kazaa's clients write.
signature legacy-kazaa-header {
  ip-proto == tcp
  tcp-state established
  payload /^(GET \/|HTTP\/1\.[01] ).*\nx-kazaa-[a-z]+:/i
  event kazaa_signature_found
}

# Napster between two clients: who is called says 1, who called then gets or sends a file.
signature legacy-napster-called {
  ip-proto == tcp
  tcp-state established,responder
  payload /^1/
}

signature legacy-napster {
  ip-proto == tcp
  tcp-state established,originator
  payload /^(GET|SEND)($|[^ \/])/
  requires-reverse-signature legacy-napster-called
  event napster_signature_found
}

# A shell of root's that greets who connects with its prompt.
signature legacy-root-backdoor {
  ip-proto == tcp
  tcp-state established,responder
  payload /^[\r\n]*# /
  event root_backdoor_signature_found
}

//! Behaviour of the real `adit` binary, seen from outside.

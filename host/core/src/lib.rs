//! Helpers without knowledge of miners, used by every other crate of the host.
//!
//! A function belongs here when a program of another kind could use it unchanged. This crate depends
//! on no other crate of the project.

#![deny(unsafe_code)]

pub mod files;

//! Reads a shared library's headers without running anything of it.
//!
//! The system's loader maps what the headers promise. When the file is shorter, the first touch of
//! a missing page kills the whole process, so every promise is checked first.

use object::{
    LittleEndian,
    elf::{self, FileHeader64},
    read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym},
};

use crate::preflight::Refusal;

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Section with the manifest.
const MANIFEST: &str = ".adit_driver";

/// The bytes of the manifest of a driver for this machine.
pub(crate) fn manifest(data: &[u8]) -> Result<&[u8], Refusal> {
    let header = header(data)?;
    let damaged = |what: &str| Refusal::Damaged(what.to_owned());
    let broken = |error: object::Error| Refusal::Damaged(error.to_string());

    for segment in header.program_headers(LE, data).map_err(broken)? {
        segment.data(LE, data).map_err(|()| damaged("a segment goes beyond its end"))?;
    }
    // The section table is the last thing in a file: this notices a copy that broke off.
    let sections = header.sections(LE, data).map_err(broken)?;
    if sections.is_empty() {
        return Err(damaged("no section table"));
    }
    for section in sections.iter() {
        section.data(LE, data).map_err(|_| damaged("a section goes beyond its end"))?;
    }
    if header.e_type(LE) != elf::ET_DYN {
        return Err(Refusal::NotShared);
    }
    let (_, section) =
        sections.section_by_name(LE, MANIFEST.as_bytes()).ok_or(Refusal::NoManifest)?;
    let manifest = section.data(LE, data).map_err(broken)?;

    let symbols = sections.symbols(LE, data, elf::SHT_DYNSYM).map_err(broken)?;
    let root = symbols.iter().find(|symbol| {
        let name = symbols.symbol_name(LE, symbol).unwrap_or_default();
        name == abi_stable::library::ROOT_MODULE_LOADER_NAME.as_bytes() && !symbol.is_undefined(LE)
    });
    let wanted = size_of::<abi_stable::library::LibHeader>();
    match root.map(|symbol| symbol.st_size(LE)) {
        None => Err(Refusal::Entry("is missing")),
        Some(size) if size < wanted as u64 => Err(Refusal::Entry("is too small")),
        Some(_) => Ok(manifest),
    }
}

fn header(data: &[u8]) -> Result<&Header, Refusal> {
    if data.is_empty() {
        return Err(Refusal::Empty);
    }
    if !data.starts_with(&elf::ELFMAG) {
        return Err(Refusal::NotElf);
    }
    // Byte 4 is the class, byte 5 the byte order, 18 and 19 the machine.
    let (Some(class), Some(order)) = (data.get(4), data.get(5)) else {
        return Err(Refusal::Damaged("it ends in its header".to_owned()));
    };
    if *class == elf::ELFCLASS32.0 {
        return Err(Refusal::Platform("a 32-bit machine".to_owned()));
    }
    if *order == elf::ELFDATA2MSB.0 {
        return Err(Refusal::Platform("a big-endian machine".to_owned()));
    }
    let header = Header::parse(data).map_err(|error| Refusal::Damaged(error.to_string()))?;
    let machine = header.e_machine(LE).0;
    if machine_name(machine) != std::env::consts::ARCH {
        return Err(Refusal::Platform(machine_name(machine)));
    }
    Ok(header)
}

/// The name that Rust gives the machine, or its number in the ELF specification.
fn machine_name(machine: u16) -> String {
    match machine {
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv64".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

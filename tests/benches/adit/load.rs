//! What loading a driver costs.

use std::{fs, path::Path};

use adit_drivers::{load, preflight, trust};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::{
    host::built,
    samples::Samples,
    table::{Row, time},
};

const TIMES: usize = 40;

pub(crate) fn rows() -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let source = built("libsim_driver.so");
    let owner = trust::Owner::current();
    let copies = folder.path().join("copies");
    let examine = || {
        let path = trust::check(&source, owner).unwrap();
        let image = preflight::read(&path).unwrap();
        let manifest = preflight::manifest(&image.bytes).unwrap();
        preflight::accept(&manifest).unwrap();
        image
    };
    let whole = Samples::of(TIMES, || {
        load::load(&examine().bytes, &copies).unwrap();
    });
    let examined = Samples::of(TIMES, || drop(examine()));
    let mut numbers = 0..;
    let mut fresh = || {
        let path = folder.path().join(format!("{}.so", numbers.next().unwrap_or(0)));
        fs::copy(&source, &path).unwrap();
        path
    };
    let files: Vec<_> = (0..TIMES).map(|_| fresh()).collect();
    let mut files = files.iter();
    let bare = Samples::of(TIMES, || open(files.next().unwrap()));
    let median = whole.median().as_secs_f64();
    let size = fs::metadata(&source).unwrap().len() >> 10;
    vec![
        Row::new(format!("check, read, hash, copy, map {size} KiB, median"), time(whole.median()))
            .beside("dlopen of a copy, median", time(bare.median()))
            .ratio(median, bare.median().as_secs_f64())
            .goal("≤ 2 ms", median <= 0.002),
        Row::new(format!("  the same, best of {TIMES}"), time(whole.best()))
            .beside("same, best", time(bare.best())),
        Row::new(format!("  worst of {TIMES}"), time(whole.worst()))
            .beside("same, worst", time(bare.worst())),
        Row::new("  of that all before the copy, median", time(examined.median())),
    ]
}

/// Maps a library for good, as the host does.
fn open(path: &Path) {
    // SAFETY: the initialisers of a driver of this build run, which the host runs as well.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    std::mem::forget(library.unwrap());
}

//! What is wrong with the rig, and the way from there to a rig that is well.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::{host::Host, page::Page, pages::check};

/// The text of the finding about the state folder.
const FOLDER: &str = "return [...document.querySelectorAll('.finding')]
    .find((it) => it.textContent.includes('others can look into'))?.innerText";

#[test]
#[ignore = "needs Chromium"]
fn the_doctor_gives_a_command_to_copy_that_mends_what_is_wrong() {
    let host = Host::start();
    fs::set_permissions(host.state(), fs::Permissions::from_mode(0o755)).unwrap();
    let page = Page::of(&host);
    page.turn("#/settings");
    page.click("Doctor");
    page.wait("the finding", FOLDER);
    let first = page.look("return document.querySelector('main .card h2').innerText");
    assert_eq!(first, "Problems", "what is worst stands first");

    let command = format!("chmod 700 {}", host.state().display());
    // Over plain HTTP from another machine, pages have no clipboard of their own.
    let hide = "window.clipboard = navigator.clipboard;
        Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true });";
    for hidden in [false, true] {
        if hidden {
            page.run("return navigator.clipboard.writeText('something else')", &[]);
            page.run(hide, &[]);
        }
        page.click("Copy the command for State folder");
        page.until("the command to be copied", || page.pasted() == command.as_str());
    }
    page.click_until_said("Copy the command for State folder", "Copied");
    assert!(Command::new("/bin/sh").args(["-c", &command]).status().unwrap().success());
    page.click("Look again");
    page.until("the finding to be gone", || page.look(FOLDER).is_null());
    let well = "return [...document.querySelectorAll('.ticks li')]
        .some((it) => it.innerText.includes('yours alone'))";
    // Text of what is folded is not shown.
    page.click_at("//details[contains(@class, 'fold')]/summary");
    page.wait("the folder among what is in order", well);
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium"]
fn a_rig_without_faults_is_told_to_be_well() {
    let host = Host::start();
    let page = Page::of(&host);
    // What machines lack differs: of the real answer only what is in order is let through.
    page.run(
        "const real = window.fetch;
         window.fetch = async (address, options) => {
             const answer = await real(address, options);
             if (!String(address).endsWith('/doctor')) return answer;
             const told = await answer.json();
             told.findings = told.findings.filter((it) => it.verdict === 'ok');
             return new Response(JSON.stringify(told));
         };",
        &[],
    );
    page.turn("#/settings/doctor");
    page.wait_for_text("All is well");
    page.wait_for_text("yours alone");
    assert_eq!(page.look("return document.querySelectorAll('.finding').length"), 0);
    for (screen, width, height) in [("wide", 1280, 800), ("phone", 390, 844)] {
        page.resize(width, height);
        let picture = format!("well-{screen}-light");
        page.shoot(&picture);
        check(&page, &picture);
    }
    assert_eq!(page.complaints(), Vec::<String>::new());
}

# Counts the cases in meson's testlog.txt: prints "PASSED FAILED", then a line for each program that failed.
# A program that prints no counts of its own ("[  PASSED  ] N test(s).", as cmocka does) is one case. A program that
# failed without saying how many cases did (a crash, a leak, a timeout) is one failed case more.
function finish() {
    if (name == "") return
    if (result == "exit status 77") { name = ""; return }
    if (result != "exit status 0") {
        if (!failed) failed = 1
        broken = broken "failed: " name " (" result ")\n"
    } else if (!passed && !failed) {
        passed = 1
    }
    all_passed += passed
    all_failed += failed
    name = ""
}
/^=+ [0-9]+\/[0-9]+ =+$/ { finish(); passed = failed = 0; result = "no result"; header = 1 }
header && /^test: / { name = $0; sub(/^test: +/, "", name) }
header && /^result: / { result = $0; sub(/^result: +/, "", result); sub(/ or signal.*/, "", result) }
/^-+ (stdout|stderr) -+$/ { header = 0 }
/^\[  PASSED  \] [0-9]+ test\(s\)/ { passed += $4 }
/^\[  FAILED  \] [0-9]+ test\(s\)/ { failed += $4 }
END { finish(); print all_passed + 0, all_failed + 0; printf "%s", broken }

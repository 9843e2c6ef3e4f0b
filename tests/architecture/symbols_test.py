"""What the compiled core library asks for from outside, and what storage it has: rules that leave symbols.

C functions are a list of what is allowed, so that every system call, thread, clock and source of entropy is refused
without being named. C++ symbols (which come from libraries by the hundred) are a list of what is forbidden.
CHRONIK_CORE_LIBRARY names the library. determinism_test.py has the rules that leave no symbol.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import source

# Who needs it: the C symbols.
ALLOWED_C = {
    "bytes and memory": r"mem(?:cpy|move|set|cmp|chr)|bcmp|str(?:len|cmp|ncmp|chr)|malloc|calloc|realloc|free",
    "the same with _FORTIFY_SOURCE": r"__(?:mem(?:cpy|move|set)|snprintf|vsnprintf)_chk",
    "numbers as text": r"snprintf|vsnprintf|strto(?:ul|ull|l|ll|d)",
    "arithmetic without state": r"__popcountdi2|__u?(?:div|mod)ti3|l?l?div"
                                r"|(?:ldexp|frexp|log2?|log1p|exp|pow|floor|ceil|round|sqrt)f?",
    "startup of C++": r"__dso_handle|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__cxa_(?:atexit|pure_virtual)",
    "unwinding a killed fiber": r"_Unwind_Resume|__gxx_personality_v0|__cxa_(?:begin_catch|end_catch|rethrow"
                                r"|throw|allocate_exception|free_exception|get_globals|throw_bad_array_new_length)",
    "a failed CHECK prints and aborts": r"abort|fwrite|fflush|stderr",
    "assert() in Abseil's and fmt's headers": r"__assert_fail",
    "Boost.Context": r"(?:jump|make|ontop)_fcontext",
    "CRC-32C, and whether its registers are to be cleared": r"crc32_iscsi|__cpu_model|__cpu_indicator_init",
    "codecs of record batches": r"LZ4F?_\w+|ZSTD_\w+|snappy_\w+|(?:in|de)flate\w*|isal_\w+|read_header|crc32|adler32",
}

# What they would bring in: the C++ symbols, demangled (without Abseil's inline namespace).
FORBIDDEN_CPP = {
    "threads": r"std::(?:thread|jthread|condition_variable|__once|this_thread|future|promise|__future|__atomic)",
    "clocks": r"std::chrono::|absl::(?:Now|GetCurrentTimeNanos|SleepFor)\b",
    "locks": r"absl::(?:Mutex|CondVar|Notification|base_internal::(?:SpinLock|ThreadId)|synchronization_internal)",
    "entropy": r"std::random_device|absl::(?:random_internal|BitGen)",
    "streams": r"std::(?:cout|cerr|cin|clog)\b|std::basic_\w*fstream|std::basic_filebuf",
    "files": r"std::filesystem|std::__basic_file",
    "thread storage": r"^TLS (?:wrapper|init) function",
    "guarded statics": r"^guard variable for",
}

# absl/status/status.h includes <iostream>, whose static initialiser every object then carries.
IOSTREAM_INITIALISER = re.compile(r"^std::ios_base::Init::~?Init\(\)$|^std::__ioinit$")

# Writable data that is no state. Everything else in .data and .bss is (rule S11).
ALLOWED_DATA = [
    IOSTREAM_INITIALISER,
    re.compile(r"^DW\.ref\."),  # a reference to the personality routine
]

TLS_OBJECT = "ambient.cc.o"  # rule S6: the one ambient pointer

_ALLOWED_C = re.compile("^(?:" + "|".join(ALLOWED_C.values()) + ")$")
_SYMBOL = re.compile(r"^[0-9a-f]{8,} (.{7}) (\S+)\t[0-9a-f]+ (?:\.hidden |\.internal |\.protected )?(.+)$")


def symbols(library):
    """[(object file, section, symbol, its demangled name)] of a library; undefined ones are in section *UND*."""
    listing = subprocess.run(["objdump", "-t", str(library)], capture_output=True, text=True, check=True).stdout
    rows, member = [], ""
    for line in listing.split("\n"):
        if ":     file format" in line:
            member = line.split(":")[0]
            continue
        match = _SYMBOL.match(line)
        if match and "d" not in match.group(1)[-2:] and "f" not in match.group(1)[-1:]:
            rows.append((member, match.group(2), match.group(3)))
    mangled = "\n".join(name for _, _, name in rows)
    names = subprocess.run(["c++filt"], input=mangled, capture_output=True, text=True, check=True).stdout
    names = re.sub(r"\babsl::lts_\w+::", "absl::", names).split("\n")
    return [(m, s, raw, nice) for (m, s, raw), nice in zip(rows, names)]


def undefined_errors(rows):
    found = set()
    for _, section, raw, nice in rows:
        if section != "*UND*":
            continue
        if not raw.startswith("_Z"):
            if not _ALLOWED_C.match(raw):
                found.add(f"{raw}: a C function that core may not call")
        elif not IOSTREAM_INITIALISER.match(nice):
            for what, pattern in FORBIDDEN_CPP.items():
                if re.search(pattern, nice):
                    found.add(f"{nice}: {what}")
    defined = {raw for _, section, raw, _ in rows if section != "*UND*"}
    return sorted(e for e in found if e.split(":")[0] not in defined)


def storage_errors(rows):
    found = []
    for member, section, _, nice in rows:
        if section.startswith((".tbss", ".tdata")):
            if member != TLS_OBJECT:
                found.append(f"{member}: thread storage: {nice}")
        elif section == "*COM*" or re.match(r"^\.(?:l?data|l?bss)(?!\.rel\.ro)", section):
            if not any(pattern.match(nice) for pattern in ALLOWED_DATA):
                found.append(f"{member}: mutable static storage: {nice}")
    return sorted(set(found))


class CoreLibrary(source.Rules):
    def setUp(self):
        library = os.environ.get("CHRONIK_CORE_LIBRARY")
        if not library:
            self.skipTest("CHRONIK_CORE_LIBRARY is not set")
        self.rows = symbols(library)
        self.assertGreater(len(self.rows), 100)

    def test_asks_for_nothing_forbidden(self):
        self.assert_none(undefined_errors(self.rows))

    def test_has_no_mutable_static_storage(self):
        self.assert_none(storage_errors(self.rows))

    def test_has_exactly_one_thread_local(self):
        self.assertEqual(["chronik::(anonymous namespace)::g_ambient"],
                         [nice for _, section, _, nice in self.rows if section.startswith((".tbss", ".tdata"))])


class PlantedViolation(unittest.TestCase):
    def compiled(self, text):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "planted.cc"
            file.write_text(text)
            subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-c", file.name], cwd=folder, check=True)
            subprocess.run(["ar", "rcs", "planted.a", "planted.o"], cwd=folder, check=True)
            return symbols(pathlib.Path(folder) / "planted.a")

    def test_system_calls_threads_clocks_and_entropy_are_found(self):
        calls = ["open", "read", "socket", "clock_gettime", "gettimeofday", "time", "nanosleep", "getrandom", "rand",
                 "pthread_create", "pthread_mutex_lock", "getenv", "__atomic_load_16", "__tls_get_addr", "syscall",
                 "__cxa_guard_acquire"]
        text = 'extern "C" {' + "".join(f"int {c}_();" for c in calls) + "}\nint f() { return " + \
               " + ".join(f"{c}_()" for c in calls) + "; }\n"
        for call in calls:
            text = text.replace(call + "_()", f"asm_{calls.index(call)}()")
            text = text.replace(f"int asm_{calls.index(call)}();", f'int asm_{calls.index(call)}() __asm__("{call}");')
        self.assertEqual(sorted(calls), [e.split(":")[0] for e in undefined_errors(self.compiled(text))])

    def test_threads_and_clocks_of_the_standard_library_are_found(self):
        errors = undefined_errors(self.compiled(
            "#include <chrono>\n#include <thread>\nlong f() { std::thread t([] {}); t.join();\n"
            "return std::chrono::steady_clock::now().time_since_epoch().count(); }\n"))
        self.assertIn("std::chrono::_V2::steady_clock::now(): clocks", errors)
        self.assertIn("std::thread::join(): threads", errors)

    def test_streams_and_entropy_of_the_standard_library_are_found(self):
        errors = undefined_errors(self.compiled(
            "#include <iostream>\n#include <random>\nvoid f() { std::cout << std::random_device()(); }\n"))
        self.assertIn("std::cout: streams", errors)
        self.assertTrue(any(e.endswith(": entropy") for e in errors), errors)

    def test_thread_storage_is_found(self):
        errors = storage_errors(self.compiled("thread_local int depth = 1;\nint* f() { return &depth; }\n"))
        self.assertEqual(["planted.o: thread storage: depth"], errors)

    def test_mutable_statics_are_found_and_constants_are_not(self):
        errors = storage_errors(self.compiled(
            "struct S { virtual ~S(); virtual int g(); int x = 0; }; int S::g() { return x; }\n"
            "static int counter; int next() { return ++counter; } int table[4] = {1, 2, 3, 4};\n"
            "constexpr const char* kNames[] = {\"a\", \"b\"}; const char* name(int i) { return kNames[i]; }\n"
            "int make(); int once() { static const int value = make(); return value; }\n"))
        self.assertEqual({"counter", "table", "once()::value", "guard variable for once()::value"},
                         {e.split("storage: ")[1] for e in errors})


if __name__ == "__main__":
    unittest.main()

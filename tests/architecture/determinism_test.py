"""What core/ may not say: the rules that leave no symbol in the library, found by a scan of the sources.

Iteration over a hash container, thread storage, atomics, and the names of everything whose value differs between two
runs of one seed. symbols_test.py looks at the same rules from the other side, in the compiled library.
"""

import re
import unittest

import source

THREAD_LOCAL_IN = "core/base/ambient.cc"  # the one ambient pointer (rule S6)
UNWINDING_IN = ["core/fiber/"]  # killing a fiber is the only exception, and its entry the only handler (rule S4)

# (pattern, what stands for it, files where it is allowed). A file pattern ending in "/" means the folder.
BANNED = [
    (r"\bthread_local\b|\b__thread\b", "the ambient pointer (core/base/ambient.h)", [THREAD_LOCAL_IN]),
    (r"\bstd\s*::\s*atomic|\b__atomic_\w+|\b__sync_\w+", "nothing: a shard is one thread", []),
    (r"\bstd\s*::\s*(?:jthread|thread|async|future|promise|stop_token)\b", "a fiber", []),
    (r"\bstd\s*::\s*(?:\w*mutex|lock_guard|\w+_lock|call_once|once_flag|condition_variable\w*|\w*semaphore|latch"
     r"|barrier)\b", "Turnstile or NoSuspend", []),
    (r"\bstd\s*::\s*chrono\b", "core/base/time.h and the Clock port", []),
    (r"\babsl\s*::\s*(?:Now|Time|Duration|Sleep\w*|Mutex\w*|CondVar|Notification|BitGen|Uniform\w*)\b",
     "the ports", []),
    (r"\bstd\s*::\s*(?:random_device|mt19937\w*|minstd_rand\w*|default_random_engine|shuffle|sample"
     r"|\w+_distribution)\b", "the Random port: integers from our own generator (rule S14)", []),
    (r"(?<![\w:.>])(?:s?rand|random|drand48|getenv|gettimeofday|clock_gettime|localtime\w*|gmtime\w*)\s*\(",
     "a port", []),
    (r"\bstd\s*::\s*(?:cout|cerr|cin|clog|endl|[io]?f?stream|[io]?stringstream)\b", "log lines and fmt", []),
    (r"\bcatch\s*\(\s*\.\.\.\s*\)", "nothing: it would end the unwinding of a killed fiber (rule S4)", []),
    (r"\bthrow\b|\btry\s*\{|\bcatch\s*\(", "absl::Status", UNWINDING_IN),
    (r"\bstd\s*::\s*(?:shared_ptr|make_shared|weak_ptr|enable_shared_from_this)\b",
     "one owner, or a reference count with a home shard (rule S5)", []),
    (r"\bstd\s*::\s*(?:function|bind)\b", "absl::AnyInvocable or a template", []),
    (r"\bfmt\s*::\s*ptr\b", "a name: an address differs between runs", []),
    (r"\bu?intptr_t\b", "a name: an address differs between runs", ["core/fiber/"]),
    (r"(?:map|set)\s*<\s*(?:const\s+)?[\w:]+\s*(?:const\s*)?\*", "an id as key: an address differs between runs", []),
    (r"\bSIGSTKSZ\b|\bpthread_\w+", "a port", []),
]
BANNED = [(re.compile(pattern), instead, where) for pattern, instead, where in BANNED]

HASH_TYPE = r"(?:absl\s*::\s*(?:flat|node)_hash_(?:map|set)|std\s*::\s*unordered_(?:multi)?(?:map|set))"


def banned_words(files):
    found = []
    for path, text in sorted(files.items()):
        text = source.code(text)
        for pattern, instead, where in BANNED:
            if any(path.startswith(w) if w.endswith("/") else path == w for w in where):
                continue
            for match in pattern.finditer(text):
                line = source.line_of(text, match.start())
                found.append(f"{path}:{line}: {match.group(0).strip()!r} in core; use {instead}")
    return found


def hash_names(text):
    """Names declared in `text` (already code only) whose type is a hash container, or an alias of one."""
    names = set()
    aliases = {m.group(1) for m in re.finditer(r"\busing\s+(\w+)\s*=\s*" + HASH_TYPE + r"\s*<", text)}
    for match in re.finditer(HASH_TYPE + r"\s*<", text):
        end = source.closing(text, match.end() - 1, "<", ">")
        declared = re.match(r"[\s&*]*(?:const\b)?[\s&*]*(\w+)\s*[;={(,)]", text[end + 1:]) if end > 0 else None
        if declared:
            names.add(declared.group(1))
    for alias in aliases:
        for match in re.finditer(r"\b" + alias + r"\b[\s&*]*(?:const\b)?[\s&*]*(\w+)\s*[;={(,)]", text):
            names.add(match.group(1))
    return names


def visible_hash_names(path, texts):
    """Hash containers that `path` can name: its own, all of its own header's, and public ones of what it includes."""
    names = hash_names(texts[path])
    stem = path.rsplit(".", 1)[0]
    seen, queue = {path}, [path]
    while queue:
        for _, quoted, header in source.includes(RAW[queue.pop()]):
            if quoted and header in texts and header not in seen:
                seen.add(header)
                queue.append(header)
                own = header.rsplit(".", 1)[0] == stem
                names |= {n for n in hash_names(texts[header]) if own or not n.endswith("_")}
    return names


RAW = {}


def hash_iterations(files):
    RAW.clear()
    RAW.update(files)
    texts = {path: source.code(text) for path, text in files.items()}
    found = []
    for path, text in sorted(texts.items()):
        names = visible_hash_names(path, texts)
        if not names:
            continue
        for match in re.finditer(r"\bfor\s*\(", text):
            head = text[match.end():source.closing(text, match.end() - 1)]
            ranged = re.search(r"(?<!:):(?!:)(.*)$", head.rsplit(";", 1)[-1], re.S) if head.count(";") < 2 else None
            last = re.search(r"(\w+)\s*(?:\(\s*\))?\s*$", ranged.group(1)) if ranged else None
            if last and last.group(1) in names:
                line = source.line_of(text, match.start())
                found.append(f"{path}:{line}: iterates over the hash container {last.group(1)}")
        for name in sorted(names):
            walk = (rf"\b{name}\b(?:\s*\(\s*\))?\s*(?:\.|->)\s*c?begin\s*\("
                    rf"|\b(?:erase_if|c_\w+)\s*\(\s*[\w.>-]*\b{name}\b\s*[,)]")
            for match in re.finditer(walk, text):
                found.append(f"{path}:{source.line_of(text, match.start())}: iterates over the hash container {name}")
    return found


# What draws the next of a stream of numbers; or a parenthesis, a brace, a comma.
DRAW_OR_MARK = re.compile(r"\b\w*(?:draws?|faults|random|page)\w*(?:\(\))?(?:\.|->)"
                          r"(?:below|between|magnitude|next|any_node)\(|\b(?:soon|a_while|long_enough|some_[a-z]+)\("
                          r"|[(){},]")


def unordered_draws(files):
    """Calls with draws in two of their arguments: which is drawn first is the compiler's choice, and a seed would mean
    two things. A lambda's body is drawn from later, so braces begin anew."""
    found = []
    for path, text in sorted(files.items()):
        text = source.code(text)
        calls = []  # of the open parentheses: where, which argument, in which arguments something was drawn
        for match in DRAW_OR_MARK.finditer(text):
            mark = match.group(0)[-1]
            if len(match.group(0)) > 1:
                for call in reversed(calls):
                    if call is None:
                        break
                    call[2].add(call[1])
            if mark == "(":
                calls.append([match.start(), 0, set()])
            elif mark == "{":
                calls.append(None)
            elif mark == "," and calls and calls[-1] is not None:
                calls[-1][1] += 1
            elif mark in ")}" and calls:
                call = calls.pop()
                if call is not None and len(call[2]) > 1:
                    found.append(f"{path}:{source.line_of(text, call[0])}: draws in two arguments of one call")
    return found


class Draws(source.Rules):
    def test_are_made_in_one_order(self):
        files = source.read((".h", ".cc"), ("core/", "sim/"))
        self.assertGreater(len(files), 20)
        self.assert_none(unordered_draws(files))

    def test_of_two_arguments_are_found(self):
        for text in ("strike(draws.below(2) == 0 ? 1 : 2, at, Duration(draws.magnitude(1, 2)));",
                     "uuid(random.next(), ports.random().next());", "f(page.any_node(), g(draws_.between(1, 2)));"):
            self.assertEqual(1, len(unordered_draws({"sim/a.cc": text})), text)

    def test_that_follow_one_another_are_not(self):
        for text in ("a = draws.below(2); f(a, draws.below(3));", "T{draws.below(1), draws.below(2)};",
                     "after(draws.below(2), [] { f(draws.below(2)); });",
                     "f(draws.below(2) == 0 ? 0 : draws.below(3));"):
            self.assertEqual([], unordered_draws({"sim/a.cc": text}), text)


class Core(source.Rules):
    def setUp(self):
        self.files = source.read((".h", ".cc"), ("core/",))
        self.assertGreater(len(self.files), 20)

    def test_says_no_banned_word(self):
        self.assert_none(banned_words(self.files))

    def test_iterates_over_no_hash_container(self):
        self.assert_none(hash_iterations(self.files))


class PlantedBannedWord(unittest.TestCase):
    def assert_found(self, text, path="core/log/log.cc"):
        self.assertNotEqual([], banned_words({path: text}), text)

    def assert_clean(self, text, path="core/log/log.cc"):
        self.assertEqual([], banned_words({path: text}), text)

    def test_thread_storage_is_found_but_for_the_ambient_pointer(self):
        self.assert_found("thread_local int depth = 0;")
        self.assert_clean("thread_local Ambient* g_ambient = nullptr;", THREAD_LOCAL_IN)

    def test_threads_and_their_tools_are_found(self):
        for text in ("std::atomic<int> n;", "std::mutex m;", "std::lock_guard<M> l(m);", "std::thread t(f);",
                     "std::shared_mutex m;", "absl::Mutex m;"):
            self.assert_found(text)

    def test_clocks_and_entropy_are_found(self):
        for text in ("auto t = std::chrono::steady_clock::now();", "std::random_device d;", "std::mt19937_64 g(1);",
                     "std::shuffle(a, b, g);", "int x = rand();", "auto t = absl::Now();", "char* p = getenv(name);"):
            self.assert_found(text)

    def test_streams_and_addresses_as_values_are_found(self):
        for text in ("std::cout << 1;", "auto s = fmt::format(\"{}\", fmt::ptr(p));", "std::uintptr_t a;",
                     "absl::btree_map<Node*, int> m;", "std::set<const raft::Peer*> s;"):
            self.assert_found(text)

    def test_exceptions_are_found_but_for_a_killed_fibers_unwinding(self):
        self.assert_found("throw 1;")
        self.assert_found("try { f(); } catch (const E&) {}")
        self.assert_clean("try { f(); } catch (const FiberKilled&) {}", "core/fiber/scheduler.cc")

    def test_a_handler_that_swallows_everything_is_found_everywhere(self):
        self.assert_found("catch (...) {}")
        self.assert_found("catch ( ... ) {}", "core/fiber/scheduler.cc")

    def test_shared_ownership_is_found(self):
        self.assert_found("std::shared_ptr<Image> image;")

    def test_comments_literals_and_longer_names_are_not_found(self):
        self.assert_clean("// a std::mutex would be wrong; so would thread_local\n")
        self.assert_clean('const char* text = "std::thread";')
        self.assert_clean("int n = random_.next(); port->random(); my_rand(); absl::btree_map<Id, Node*> m;")


class PlantedIteration(unittest.TestCase):
    def assert_found(self, text, **others):
        files = {"core/log/log.cc": text, **{k.replace("__", "/") + ".h": v for k, v in others.items()}}
        self.assertEqual(1, len(hash_iterations(files)), text)

    def test_a_range_for_over_a_member_is_found(self):
        self.assert_found("absl::flat_hash_map<Id, std::vector<int>> parts_;\n"
                          "void f() { for (auto& [k, v] : parts_) g(k); }")
        self.assert_found("std::unordered_set<int> seen;\nvoid f() { for (int k : this->seen) g(k); }")

    def test_a_member_of_the_own_header_is_found(self):
        self.assert_found('#include "core/log/log.h"\nvoid Log::f() { for (auto& e : parts_) g(e); }',
                          core__log__log="class Log { absl::node_hash_map<Id, Part> parts_; };")

    def test_a_public_field_of_an_included_header_is_found(self):
        self.assert_found('#include "core/log/state.h"\nvoid f(State& s) { for (auto& e : s.parts) g(e); }',
                          core__log__state="struct State { absl::flat_hash_set<Id> parts; };")

    def test_an_accessor_an_alias_and_an_iterator_are_found(self):
        self.assert_found("const absl::flat_hash_set<Id>& ids() const;\nvoid f() { for (Id id : x.ids()) g(id); }")
        self.assert_found("using Parts = absl::flat_hash_map<Id, Part>;\nParts parts_;\n"
                          "void f() { for (auto& p : parts_) g(p); }")
        self.assert_found("absl::flat_hash_map<Id, Part> parts_;\nauto f() { return parts_.begin(); }")
        self.assert_found("absl::flat_hash_map<Id, Part> parts_;\nvoid f() { absl::erase_if(parts_, dead); }")

    def test_a_lookup_and_an_ordered_map_are_not_found(self):
        self.assertEqual([], hash_iterations({"core/log/log.cc": """
            absl::flat_hash_map<Id, Part> parts_;
            absl::btree_map<Id, Part> ordered_;
            void f() { auto it = parts_.find(1); if (it == parts_.end()) return; for (auto& p : ordered_) g(p); }
            void h() { for (int i = 0; i < parts_.size(); ++i) g(i); }"""}))


if __name__ == "__main__":
    unittest.main()

"""Random programs of the language of chat templates, with the variables that they read."""

import random

WORDS = ["a", "Ab", "x y", " lead", "tail ", "", "é", "日本", "a,b,c", "TeSt case", "10", "-3", "2.5", "1e3", "\\n",
         "it's", 'say "q"', "<tool>", "tab\\t", "ß", "end\\n\\n", "aXbXc", "foo-bar (baz)"]
NAMES = ["s", "t", "n", "m", "f", "flag", "nothing", "xs", "ns", "words", "d", "messages", "tools", "missing"]


def variables(dice):
    text = [dice.choice(["", "abc", "Hello World", " pad ", "é日本x", "a\nb\n\nc\n", "x,y,,z", "it's \"q\"", "<b>&</b>"]) for _ in range(8)]
    number = [dice.choice([0, 1, 2, -1, -7, 3, 10, 255]) for _ in range(8)]
    return {
        "s": text[0], "t": text[1], "n": number[0], "m": number[1], "f": dice.choice([0.0, 0.5, -1.25, 2.0, 1e16, 1e-5]),
        "flag": dice.choice([True, False]), "nothing": None,
        "xs": [dice.choice([1, 2, 3, -4, 5]) for _ in range(dice.randrange(5))],
        "words": [dice.choice(["b", "A", "c", "é", "aa", "B"]) for _ in range(dice.randrange(5))],
        "d": {key: dice.choice([1, "v", None, [1, 2], 2.5, True]) for key in dice.sample(["k", "a", "B", "z", "items"], dice.randrange(5))},
        "messages": [
            {"role": dice.choice(["user", "assistant", "system", "tool"]), "content": dice.choice(text),
             **({"tool_calls": [{"name": "f", "arguments": {"x": number[2], "y": text[3]}}]} if dice.random() < 0.3 else {})}
            for _ in range(dice.randrange(4))
        ],
        "tools": dice.choice([None, [], [{"type": "function", "function": {"name": "g", "n": 1.0}}]]),
    }


class Writer:
    """Writes a program; what it declares on the way can be used behind it."""

    def __init__(self, dice):
        self.dice = dice
        self.names = list(NAMES)
        self.namespaces = []
        self.macros = []
        self.loops = 0

    def pick(self, *choices):
        return self.dice.choice(choices)

    def string(self):
        word = self.dice.choice(WORDS)
        quote = "'" if "'" not in word else '"'
        return quote + word.replace('"', '\\"' if quote == '"' else '"') + quote

    # Expressions by the kind of value they mostly have, so that most programs get far.
    def text(self, depth):
        if depth <= 0:
            return self.pick("s", "t", self.string(), self.string())
        inner = lambda: self.text(depth - 1)
        choice = self.dice.randrange(22)
        if choice == 0:
            return f"({inner()} ~ {self.any(depth - 1)})"
        if choice == 1:
            return f"({inner()} + {inner()})"
        if choice == 2:
            return f"{inner()}[{self.slice()}]"
        if choice == 3:
            return f"({inner()} | {self.pick('upper', 'lower', 'trim', 'title', 'capitalize', 'string', 'reverse')})"
        if choice == 4:
            return f"{inner()}.{self.pick('strip', 'lstrip', 'rstrip', 'upper', 'lower', 'title', 'capitalize', 'swapcase')}()"
        if choice == 5:
            return f"{inner()}.{self.pick('strip', 'lstrip', 'rstrip')}({self.string()})"
        if choice == 6:
            return f"({inner()} | replace({self.string()}, {self.string()}{self.pick('', ', 1')}))"
        if choice == 7:
            return f"{inner()}.replace({self.string()}, {inner()})"
        if choice == 8:
            return f"({self.listing(depth - 1)} | join({self.string()}))"
        if choice == 9:
            return f"({self.any(depth - 1)} | tojson{self.pick('', '(indent=2)', '(ensure_ascii=true)', '(sort_keys=true)')})"
        if choice == 10:
            return f"({inner()} if {self.truth(depth - 1)} else {inner()})"
        if choice == 11:
            return f"({self.name()} | default({inner()}{self.pick('', ', true')}))"
        if choice == 12:
            return f"({inner()} * {self.pick('2', '0', '-1', '3')})"
        if choice == 13:
            return f"({inner()} | indent({self.pick('2', '4', '4, true', 'first=true, width=1', '2, blank=true')}))"
        if choice == 14:
            return f"({self.any(depth - 1)} | string)"
        if choice == 15:
            return f"{inner()}.split({self.pick('', self.string(), 'none, 1')})[{self.pick('0', '-1')}]"
        if choice == 16:
            return f"({inner()} | truncate({self.pick('5', '6, true', '5, false, '+chr(39)+'.'+chr(39)+', 0')}))"
        if choice == 17:
            return f"('%s|%5s|%-4s' | format({inner()}, {self.any(0)}, {self.number(0)}))"
        if choice == 18 and self.macros:
            return self.call(depth)
        if choice == 19:
            return f"{inner()}.{self.pick('center(9)', 'ljust(5, chr)', 'rjust(7)', 'zfill(4)')}".replace("chr", "'.'")
        if choice == 20:
            return f"({inner()} | {self.pick('first', 'last')})"
        return self.pick("s", "t", self.string())

    def number(self, depth):
        if depth <= 0:
            return self.pick("n", "m", "1", "2", "-3", "7", "0", "f", "2.5", "1_000")
        inner = lambda: self.number(depth - 1)
        choice = self.dice.randrange(12)
        if choice < 3:
            return f"({inner()} {self.pick('+', '-', '*')} {inner()})"
        if choice == 3:
            return f"({inner()} {self.pick('//', '%', '/')} {inner()})"
        if choice == 4:
            return f"({self.pick(self.text, self.listing)(depth - 1)} | {self.pick('length', 'count')})"
        if choice == 5:
            return f"({self.any(depth - 1)} | {self.pick('int', 'float', 'int(7)', 'float(0.5)')})"
        if choice == 6:
            return f"({inner()} | {self.pick('abs', 'round', 'round(1)', 'round(0, '+chr(39)+'floor'+chr(39)+')', 'round(1, '+chr(39)+'ceil'+chr(39)+')')})"
        if choice == 7:
            return f"-{inner()}"
        if choice == 8:
            return f"{self.text(depth - 1)}.{self.pick('count', 'find', 'rfind')}({self.string()})"
        if choice == 9:
            return f"(xs | {self.pick('sum', 'max', 'min', 'first', 'last')})"
        if choice == 10 and self.loops:
            return f"loop.{self.pick('index', 'index0', 'revindex', 'length', 'revindex0', 'depth')}"
        return f"({self.pick('n', 'm', '2')} ** {self.pick('2', '3', '0')})"

    def truth(self, depth):
        if depth <= 0:
            return self.pick("flag", "true", "false", "n", "s", "xs", "missing", "nothing")
        choice = self.dice.randrange(12)
        if choice == 0:
            return f"({self.number(depth - 1)} {self.pick('<', '<=', '>', '>=', '==', '!=')} {self.number(depth - 1)})"
        if choice == 1:
            return f"({self.text(depth - 1)} {self.pick('==', '!=', '<', '>')} {self.text(depth - 1)})"
        if choice == 2:
            return f"({self.text(depth - 1)} {self.pick('in', 'not in')} {self.text(depth - 1)})"
        if choice == 3:
            return f"({self.any(depth - 1)} {self.pick('in', 'not in')} {self.listing(depth - 1)})"
        if choice == 4:
            return f"(not {self.truth(depth - 1)})"
        if choice == 5:
            return f"({self.truth(depth - 1)} {self.pick('and', 'or')} {self.truth(depth - 1)})"
        if choice == 6:
            test = self.pick("defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "boolean", "true",
                             "false", "number", "integer", "float", "callable")
            return f"({self.any(depth - 1)} is {self.pick('', 'not ')}{test})"
        if choice == 7:
            return f"({self.number(depth - 1)} is {self.pick('odd', 'even', 'divisibleby 3', 'divisibleby(2)', 'eq 2', 'gt(1)')})"
        if choice == 8:
            return f"{self.text(depth - 1)}.{self.pick('startswith', 'endswith')}({self.string()})"
        if choice == 9:
            return f"{self.text(depth - 1)}.{self.pick('isdigit', 'isalpha', 'isspace', 'isupper', 'islower', 'isalnum')}()"
        if choice == 10 and self.loops:
            return f"loop.{self.pick('first', 'last')}"
        return f"({self.number(0)} < {self.number(0)} <= {self.number(0)})"

    def listing(self, depth):
        if depth <= 0:
            return self.pick("xs", "words", "messages", "[1, 2, 3]", "['b', 'a']", "[]", "(1, 'x')", "range(4)")
        choice = self.dice.randrange(16)
        if choice == 0:
            return f"[{', '.join(self.any(depth - 1) for _ in range(self.dice.randrange(4)))}]"
        if choice == 1:
            return f"({self.listing(depth - 1)} | list)[{self.slice()}]"
        if choice == 2:
            return f"({self.listing(depth - 1)} | {self.pick('list', 'reverse | list')})"
        if choice == 3:
            return f"({self.pick('xs', 'words')} | {self.pick('sort', 'sort(reverse=true)', 'unique | list', 'sort(case_sensitive=true)')})"
        if choice == 4:
            return f"(messages | {self.pick('selectattr', 'rejectattr')}('role', {self.pick(chr(39)+'equalto'+chr(39), chr(39)+'ne'+chr(39))}, 'user') | list)"
        if choice == 5:
            return f"(messages | map(attribute='{self.pick('role', 'content', 'missing', 'tool_calls.0.name')}') | list)"
        if choice == 6:
            return f"({self.listing(depth - 1)} | map('{self.pick('string', 'upper', 'tojson', 'length', 'trim')}') | list)"
        if choice == 7:
            return f"({self.pick('xs', '[1, 2, 3, 4]')} | {self.pick('select', 'reject')}('{self.pick('odd', 'even')}') | list)"
        if choice == 8:
            return f"{self.text(depth - 1)}.split({self.pick('', self.string(), self.string() + ', 1')})"
        if choice == 9:
            return f"({self.pick('xs', 'words')} + {self.pick('xs', '[0]', 'words')})"
        if choice == 10:
            return f"(d | {self.pick('dictsort', 'items | list', 'list', 'dictsort(reverse=true)', 'dictsort(true)')})"
        if choice == 11:
            return f"d.{self.pick('keys', 'values', 'items')}() | list"
        if choice == 12:
            return f"({self.listing(depth - 1)} | list | batch(2{self.pick('', ', 0')}) | list)"
        if choice == 13:
            return f"range({self.pick('3', '1, 5', '5, 0, -2', 'n', '2, m')})"
        if choice == 14:
            return f"({self.text(depth - 1)} | list)"
        return f"({self.text(depth - 1)}).splitlines({self.pick('', 'true')})"

    def mapping(self, depth):
        choice = self.dice.randrange(4)
        if choice == 0 and depth > 0:
            members = ", ".join(f"{self.pick(self.string(), str(self.dice.randrange(4)))}: {self.any(depth - 1)}" for _ in range(self.dice.randrange(4)))
            return "{" + members + "}"
        if choice == 1:
            return f"dict(a={self.any(depth - 1)}, b=1)"
        return "d"

    def slice(self):
        bound = lambda: self.pick("", "", "0", "1", "2", "-1", "-2", "7", "n")
        return self.pick(f"{bound()}:{bound()}", f"{bound()}:{bound()}", "::-1", f"{bound()}:{bound()}:{self.pick('2', '-1', '-2', '')}")

    def name(self):
        name = self.dice.choice(self.names)
        if name == "ns":
            return f"{self.dice.choice(self.namespaces)}.v" if self.namespaces else "missing"
        return name

    def call(self, depth):
        name, parameters = self.dice.choice(self.macros)
        arguments = [self.any(depth - 1) for _ in range(self.dice.randrange(len(parameters) + 1))]
        if self.dice.random() < 0.3 and len(arguments) < len(parameters):
            arguments.append(f"{parameters[-1]}={self.any(depth - 1)}")
        return f"{name}({', '.join(arguments)})"

    def any(self, depth):
        choice = self.dice.randrange(12)
        if choice < 4:
            return self.text(depth)
        if choice < 6:
            return self.number(depth)
        if choice == 6:
            return self.truth(depth)
        if choice == 7:
            return f"({self.listing(depth)})"
        if choice == 8:
            return self.mapping(depth)
        if choice == 9:
            return self.pick("d.k", "d['a']", "d.get('z')", "d.get('q', 0)", "messages[0]", "messages[-1].role", "d.missing",
                             "messages[0].tool_calls[0].arguments", "d['B']", "xs[0]", "tools", "s[0]", "xs[5]", "s.missing")
        return self.name()

    # Statements.
    def tag(self, content, kind="%"):
        left, right = self.pick("", "", "", "-", "+" if kind == "%" else ""), self.pick("", "", "", "-")
        close = "}}" if kind == "{" else kind + "}"
        return "{" + kind + left + " " + content + " " + right + close

    def raw(self):
        return self.pick("\n", " ", "\n  ", "text ", "  \n", "x\n\n", "é\n", "\t", "a", " b\n ", "{", "}", "% ", "\\n")

    def body(self, depth, count=3):
        names, macros, namespaces = list(self.names), list(self.macros), list(self.namespaces)
        result = "".join(self.statement(depth) for _ in range(1 + self.dice.randrange(count)))
        self.names, self.macros, self.namespaces = names, macros, namespaces
        return result

    def statement(self, depth):
        choice = self.dice.randrange(20)
        if choice < 3 or depth <= 0 and choice > 10:
            return self.raw()
        if choice < 10:
            return self.tag(self.any(3), "{")
        if choice == 10:
            return self.tag(self.pick("a comment", "if x", "{{ }}"), "#")
        if choice < 13:
            result = self.tag(f"if {self.truth(2)}") + self.body(depth - 1)
            if self.dice.random() < 0.3:
                result += self.tag(f"elif {self.truth(2)}") + self.body(depth - 1)
            if self.dice.random() < 0.5:
                result += self.tag("else") + self.body(depth - 1)
            return result + self.tag("endif")
        if choice < 15:
            return self.loop(depth)
        if choice == 15:
            # Names of variables are left out: jinja2 hides one from the blocks before the tag that sets it, too.
            name = self.pick("v", "w", "u")
            result = self.tag(f"set {name} = {self.any(2)}")
            self.names.append(name)
            return result
        if choice == 16:
            name = self.pick("ns1", "ns2")
            if name in self.namespaces:
                return self.tag(f"set {name}.v = {self.any(2)}")
            result = self.tag(f"set {name} = namespace(v={self.any(1)})")
            self.namespaces.append(name)
            return result
        if choice == 17:
            name = self.pick("v", "w")
            result = self.tag(f"set {name}{self.pick('', ' | upper', ' | trim')}") + self.body(depth - 1) + self.tag("endset")
            self.names.append(name)
            return result
        if choice == 18:
            return self.macro(depth)
        return self.pick(
            lambda: self.tag("raw") + self.pick("{{ x }}", "{% if %}", "plain") + self.tag("endraw"),
            lambda: self.tag(f"filter {self.pick('upper', 'trim', 'replace('+chr(39)+'a'+chr(39)+', '+chr(39)+'b'+chr(39)+')')}") + self.body(depth - 1) + self.tag("endfilter"),
            lambda: self.tag(f"with q = {self.any(1)}") + self.body(depth - 1) + self.tag("q", "{") + self.tag("endwith"),
        )()

    def loop(self, depth):
        pair = self.dice.random() < 0.2
        source = "d.items()" if pair else self.listing(2)
        variable = "k, v" if pair else self.pick("item", "x", "s")
        condition = f" if {self.truth(1)}" if self.dice.random() < 0.2 and not self.loops else ""
        head = self.tag(f"for {variable} in {source}{condition}")
        names = list(self.names)
        self.names += variable.split(", ")
        self.loops += 1
        body = self.body(depth - 1)
        if self.dice.random() < 0.15:
            body += self.tag(f"if {self.truth(1)}") + self.tag(self.pick("break", "continue")) + self.tag("endif") + self.body(depth - 1)
        self.loops -= 1
        self.names = names
        other = self.tag("else") + self.body(depth - 1) if self.dice.random() < 0.2 else ""
        return head + body + other + self.tag("endfor")

    def macro(self, depth):
        name = f"mac{len(self.macros)}"
        parameters = self.dice.sample(["p", "q", "r"], self.dice.randrange(3))
        shown = [p + (f"={self.any(0)}" if index == len(parameters) - 1 and self.dice.random() < 0.5 else "") for index, p in enumerate(parameters)]
        names, loops = list(self.names), self.loops
        self.names, self.loops = self.names + parameters, 0
        body = self.body(depth - 1)
        self.names, self.loops = names, loops
        result = self.tag(f"macro {name}({', '.join(shown)})") + body + self.tag("endmacro")
        self.macros.append((name, parameters))
        return result


def program(seed):
    """A program and its variables; the same for the same seed."""
    dice = random.Random(seed)
    writer = Writer(dice)
    return "".join(writer.statement(3) for _ in range(1 + dice.randrange(8))), variables(dice)

import EttinJSON
import EttinTemplates
import Testing

@Suite("Chat templates")
struct ChatTemplateTests {
    private func render(_ source: String, _ variables: JSONObject = [:]) throws -> String {
        try ChatTemplate(source).render(variables)
    }

    struct Case: CustomStringConvertible, Sendable {
        let source: String
        let expected: String

        init(_ source: String, _ expected: String) { (self.source, self.expected) = (source, expected) }

        var description: String { source }
    }

    @Test(
        "tags take white space away by Jinja's rules",
        arguments: [
            Case("a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"),
            Case("a {%- if true %} b {%- endif -%} c", "a bc"),
            Case("  {{ 1 }}\n  {# x #}\ny", "  1\ny"),
            Case("  {%+ if true %}x{% endif %}", "  x"),
            Case("{% raw %}{{ x }}{% endraw %}\n", "{{ x }}"),
            Case("a\r\nb\n\n", "a\nb\n"),
            Case("{% if true +%}\nx{% endif %}", "\nx"),
        ]
    )
    func whiteSpace(_ test: Case) throws { #expect(try render(test.source) == test.expected) }

    @Test(
        "expressions are Python's",
        arguments: [
            Case("{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 // -2 }} {{ 7 / 2 }} {{ 2 ** 3 ** 2 }}", "-4 2 -4 3.5 64"),
            Case("{{ 1e16 }} {{ 0.1 + 0.2 }} {{ 1.0 }} {{ -0.0 }}", "1e+16 0.30000000000000004 1.0 -0.0"),
            Case("{{ true + 1 }} {{ 1 == 1.0 }} {{ 1 < 2 < 2 }}", "2 True False"),
            Case("{{ 'abc'[::-1] }} {{ 'é日本'[-1] }} {{ [1, 2, 3][5:] }} {{ 'abc'[1:99] }}", "cba 本 [] bc"),
            Case("{{ ['it\\'s', \"q\\\"\", 'a\\n', none, 1.5] }}", "[\"it's\", 'q\"', 'a\\n', None, 1.5]"),
            Case("{{ {'a': 1, 'b': [true]} }} {{ (1,) }}", "{'a': 1, 'b': [True]} (1,)"),
            Case("{{ ' x '.strip() ~ 'a,b'.split(',') ~ 'ab'.title() }}", "x['a', 'b']Ab"),
            Case("{{ not 1 is none and 'a' in 'abc' }} {{ 2 not in [1] }}", "True True"),
            Case("{{ 'x' if false }}|{{ missing }}|{{ missing | length }}", "||0"),
            Case("{{ '%s-%03d-%.2f' % ('a', 7, 1.005) }} {{ '{:>4}|{}'.format('x', 1) }}", "a-007-1.00    x|1"),
            Case("{{ {'é': '<>', 'n': [1, 2.0]} | tojson }}", "{\"é\": \"<>\", \"n\": [1, 2.0]}"),
            Case("{{ {'a': [1, {}]} | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}"),
            Case(
                "{{ 2.5 | round }} {{ -0.0 | round(1, 'ceil') }} {{ '12x' | int(5) }} {{ ' 7 ' | int }}",
                "2.0 0.0 5 7"
            ),
            Case("{{ [3, 1, 2] | sort | join('-') }} {{ 'hello world' | title }}", "1-2-3 Hello World"),
            Case("{{ [{'a': 1}, {'b': 2}] | selectattr('a', 'defined') | list }}", "[{'a': 1}]"),
            Case("{{ 'a\\u00e9\\x41\\101' }}", "aéAA"),
            Case("{{ 'ΑΣ ΣΑΣ.'|lower }} {{ 'ΟΔΟΣ'.capitalize() }} {{ 'ΟΔΟΣ'.title() }}", "ας σας. Οδος Οδος"),
            Case("{{ 'ſŉẞςıİ'.casefold() }} {{ 'αΣ'.swapcase() }}", "sʼnssσıi̇ Ας"),
            Case("{{ '%.2d %5.3x' % (3, 255) }} {{ 'a' % [] }}", "03   0ff a"),
            Case("{{ '{:<5}|{}|{}'.format(true, none, true) }}", "1    |None|True"),
            Case("{{ range(5)[1:3] }} {{ range(5)[::-1] }} {{ range(9)[::2][1] }}", "range(1, 3) range(4, -1, -1) 2"),
            Case("{{ 'nan' | float | int }} {{ 'inf' | int }} {{ -1.9 | int }}", "0 0 -1"),
        ]
    )
    func expressions(_ test: Case) throws { #expect(try render(test.source) == test.expected) }

    @Test(
        "names are seen where Jinja sees them",
        arguments: [
            Case("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"),
            Case("{% set n = namespace(x=1) %}{% for i in [1] %}{% set n.x = 2 %}{% endfor %}{{ n.x }}", "2"),
            Case("{% for i in [1, 2] %}{% if x is defined %}!{% endif %}{% set x = i %}{% endfor %}", ""),
            Case("{% macro m(a, b='z') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}", "1z32"),
            Case("{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}", "A1"),
            Case("{% for a, b in {'x': 1}.items() %}{{ loop.index }}{{ a }}{{ b }}{% else %}no{% endfor %}", "1x1"),
            Case("{% for i in range(5) if i % 2 %}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "1,3"),
            Case("{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "13"),
            Case("{% macro m() %}({{ caller(2) }}){% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "(2)"),
            Case("{% for i in [1] %}{% break %}{% else %}no{% endfor %}", "no"),
            Case("{% for x in [[1, [2]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "12"),
        ]
    )
    func scopes(_ test: Case) throws { #expect(try render(test.source) == test.expected) }

    @Test("what was generated is told by its place in the text")
    func generation() throws {
        let source = "é{% for m in messages %}{{ m }}{% generation %}<{{ m }}>{% endgeneration %}{% endfor %}"
        let rendered = try ChatTemplate(source).rendering(["messages": ["a", "ü"]])
        #expect(rendered.text == "éa<a>ü<ü>")
        #expect(rendered.generationSpans == [2..<5, 6..<9])
        #expect(rendered.generationByteSpans == [3..<6, 8..<12])
        #expect(try ChatTemplate(source).marksGeneration)
        #expect(try !ChatTemplate.builtIn("qwen3").marksGeneration)
    }

    @Test(
        "mistakes are told with line and column",
        arguments: [
            Case("a\n{{ 1 + }}", "t: line 2, column 8: found }}, the end of the tag; expected an expression"),
            Case(
                "{% if x %}",
                "t: line 1, column 11: found the end of the template; expected {% elif %} or {% else %} or {% endif %}"
            ),
            Case("{{ x | nothing }}", "t: line 1, column 8: unknown filter \"nothing\""),
            Case("é {{ x.y.z }}", "t: line 1, column 7: 'x' is undefined"),
            Case("{{ 'a' + 1 }}", "t: line 1, column 8: + cannot be applied to values of types str and int"),
            Case("{% include 'x' %}", "t: line 1, column 4: the tag \"include\" is not supported in chat templates"),
            Case(
                "{{ raise_exception('no ' ~ 1) }}",
                "t: line 1, column 19: the template refuses this conversation: no 1"
            ),
            Case("{{ (1 }}", "t: line 1, column 7: unexpected }; expected )"),
            Case(
                "{{ [].append(1) }}",
                "t: line 1, column 13: the method 'append' of 'list object' is not allowed here"
            ),
            Case(
                "{{ ''.__class__.x }}",
                "t: line 1, column 16: access to attribute '__class__' of 'str object' is unsafe"
            ),
        ]
    )
    func errors(_ test: Case) throws {
        let error = #expect(throws: TemplateError.self) { try ChatTemplate(test.source, name: "t").render([:]) }
        #expect(error?.description == test.expected)
    }

    @Test(
        "hostile templates are refused soon",
        arguments: [
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{% for a in range(10000000000) %}x{% endfor %}",
            "{{ 'x' * 10000000000 }}",
            "{{ [0] * 10000000000 }}",
            "{% set n = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
            "{% set n = namespace(s=[1]) %}{% for a in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ 'a'.ljust(9000000000) }}",
            "{{ '%999999999d' % 1 }}",
            "{{ 'a' | indent(16000000) }}{{ ('a' ~ '\n') * 100000 | indent(100000) }}",
            "{{ ('ab' * 100000).replace('', 'c' * 100000) }}",
            "{{ range(99999) | list | join('x' * 99999) }}",
            "{{ 9 ** 9 ** 9 }}",
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
            "{% for a in range(99999) %}{{ range(99999) | list | length }}{% endfor %}",
            "{% for a in range(99999) %}{{ range(99999) | sum }}{% endfor %}",
            String(repeating: "(", count: 100_000),
            "{{ " + String(repeating: "(", count: 100_000) + "1" + String(repeating: ")", count: 100_000) + " }}",
            "{{ " + String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000) + " }}",
            "{{ " + String(repeating: "not ", count: 100_000) + "1 }}",
            "{{ " + String(repeating: "-", count: 100_000) + "1 }}",
            "{{ 1" + String(repeating: " + 1", count: 100_000) + " }}",
            "{{ x" + String(repeating: ".x", count: 100_000) + " }}",
            "{{ x" + String(repeating: "|list", count: 100_000) + " }}",
            String(repeating: "{% if 1 %}", count: 50_000),
            "{% set " + String(repeating: "(", count: 100_000) + "x",
            "{% for " + String(repeating: "(", count: 100_000) + "x",
            "{{ (-9223372036854775807 - 1) ** 2 }}",
            "{% set n = namespace(x=1) %}{% for i in range(60000) %}{% set n.x = [n.x] %}{% endfor %}",
            "{% set n = namespace(x=1) %}{% for i in range(60000) %}{% set n.x = (n.x,) %}{% endfor %}{{ {n.x: 1} }}",
            "{% set n = namespace(x=1) %}{% for i in range(60000) %}{% set n.x = {'a': n.x} %}{% endfor %}",
            "{% set n = namespace(x=1) %}{% for i in range(60000) %}{% set n.x = dict(a=n.x) %}{% endfor %}",
            "{% set n = namespace(x=[1]) %}{% for i in range(60000) %}{% set n.x = n.x | batch(1) | list %}{% endfor %}",
            "{% set n = namespace(x=['a']) %}{% for i in range(50000) %}{% set n.x = n.x | map('string') %}{% endfor %}"
                + "{{ n.x | list }}",
            "{% set n = namespace(x=1) %}{% for i in range(50000) %}{% for j in [n.x] %}{% set n.x = loop %}{% endfor %}"
                + "{% endfor %}",
            "{{ ('%(a)s' * 20000) % {'a': 'x' * 1000000} }}",
            "{{ ('{0}' * 20000).format('x' * 1000000) }}",
            "{% set x = 'x' * 1000000 %}{{ x" + String(repeating: "~x", count: 100) + " }}",
            "{{ ([1] * 100000) | tojson(separators=('x' * 1000000, ':')) }}",
            "{{ ([{'x' * 1000000: 1}] * 20000) | tojson }}",
            "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
                + "{{ n.x == n.x }}",
            "{% set n = namespace(x=1) %}{% for i in range(60) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}",
            "{% set l = range(99999) | list %}{% for i in range(25000) %}{% if -1 in l %}{% endif %}{% endfor %}",
            "{% set l = range(99999) | list %}{% for i in range(25000) %}{% set x = l.count(0) %}{% endfor %}",
            "{% set l = range(99999) | list %}{% for i in range(25000) %}{% set x = l | sum %}{% endfor %}",
            "{% set l = range(99999) | list %}{% for i in range(25000) %}{% set x = l | reverse %}{% endfor %}",
            "{% set x = 'a' * 8000000 %}{% for i in range(60000) %}{% set y = x | upper %}{% endfor %}",
            "{% set x = 'a' * 8000000 %}{% for i in range(60000) %}{% set y = x is lower %}{% endfor %}",
            "{% set n = namespace(l=[], b='x' * 8000000) %}{% for i in range(60000) %}"
                + "{% set n.l = n.l + [{}[n.b]] %}{% endfor %}",
        ]
    )
    func hostile(_ source: String) throws {
        let clock = ContinuousClock()
        var error: (any Error)?
        let time = clock.measure {
            do { _ = try ChatTemplate(source).render(["messages": []]) } catch let problem { error = problem }
        }
        // Text without a tag is text; everything else is refused.
        #expect(error is TemplateError || !source.contains("{"))
        // Generous, as tests run side by side.
        #expect(time < .seconds(1), "\(time)")
    }

    @Test(
        "work that looks quadratic is linear",
        arguments: [
            Case("{{ ('a' * 1000000 ~ 'b') in ('a' * 2500000) }}", "False"),
            Case("{{ ('a' * 2000000).rfind('b' ~ 'a' * 500000) }}", "-1"),
            Case("{{ ('a ' * 100000).split() | length }} {{ ('a ' * 100000).rsplit(none, 9) | length }}", "100000 10"),
            Case("{{ (['nan' | float] * 100000) | unique | list | length }}", "1"),
        ]
    )
    func linear(_ test: Case) throws {
        var text = ""
        let time = try ContinuousClock().measure { text = try render(test.source) }
        #expect(text == test.expected)
        #expect(time < .seconds(5), "\(time)")
    }

    @Test("long needles are found where they stand")
    func longNeedles() throws {
        let needle = String(repeating: "ab", count: 20) + "c"
        let variables: JSONObject = ["n": .string(needle), "t": .string("abab" + needle + "é" + needle + "ab")]
        #expect(try render("{{ t.find(n) }} {{ t.rfind(n) }} {{ t.count(n) }}", variables) == "4 46 2")
        #expect(try render("{{ t.split(n) }} {{ t.rsplit(n, 1)[1] }}", variables) == "['abab', 'é', 'ab'] ab")
    }

    @Test("words stand between white space")
    func words() throws {
        #expect(
            try render("{{ ' a  é b ' .split() }}{{ ' a b c '.split(none, 1) }}{{ ' a b c '.rsplit(none, 1) }}")
                == "['a', 'é', 'b']['a', 'b c '][' a b', 'c']"
        )
    }

    @Test("many spans are told in one pass")
    func manySpans() throws {
        let source = "{% for i in range(50000) %}é{% generation %}x{% endgeneration %}{% endfor %}"
        let rendered = try ChatTemplate(source).rendering([:])
        #expect(rendered.generationSpans.count == 50_000)
        #expect(rendered.generationSpans.last == 99_999..<100_000)
    }

    @Test(
        "what has no value here is refused",
        arguments: [
            "{{ 1e30 | int }}", "{{ '99999999999999999999' | int }}", "{{ '%#x' % 255 }}", "{{ '{:5}'.format(none) }}",
            "{{ '{:010,.1f}'.format(1234.5) }}",
        ]
    )
    func refused(_ source: String) { #expect(throws: TemplateError.self) { try render(source) } }

    @Test("thoughts stand in front under the name that gpt-oss reads")
    func reasoning() throws {
        let message: JSONValue = ["role": "assistant", "content": "y", "reasoning": "z"]
        let variables = ChatTemplate.variables(messages: [message])
        #expect(
            try render("{{ messages[0] | tojson }}", variables)
                == "{\"thinking\": \"z\", \"role\": \"assistant\", \"content\": \"y\", \"reasoning\": \"z\", "
                + "\"reasoning_content\": \"z\"}"
        )
    }

    @Test("the harness's environment is strict")
    func harness() throws {
        func render(_ source: String) throws -> String {
            try ChatTemplate(source, environment: .evaluationHarness).render(["doc": ["a": " x<1>"]])
        }
        #expect(try render("{{ doc.a }}\n{% if true %}\n y {% endif %}\n") == " x<1>\n\n y \n")
        #expect(try render("{{ doc.a | regex_replace('<[0-9]>', '') }}") == " x")
        #expect(try render("{{ doc | tojson }}{{ ['A', 'B'].index('B') }}") == "{\"a\": \" x\\u003c1\\u003e\"}1")
        for source in ["{{ doc.b }}", "{% if missing %}{% endif %}", "{{ missing | length }}", "{% break %}"] {
            #expect(throws: TemplateError.self) { try render(source) }
        }
    }

    @Test("values of messages lose nothing")
    func values() throws {
        let variables = try #require(
            JSONValue(
                parsing: "{\"x\": {\"big\": 123456789012345678901234567890, \"f\": 1e2, \"z\": null, \"a\": [1.0]}}"
            ).objectValue
        )
        #expect(
            try render("{{ x | tojson }}", variables)
                == "{\"big\": 123456789012345678901234567890, \"f\": 100.0, \"z\": null, \"a\": [1.0]}"
        )
    }
}

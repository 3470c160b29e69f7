import EttinJSON
import EttinTemplates

/// Chat templates: sources that are nearly right, rendered with messages.
extension FuzzReader {
    private static let templateSources = [
        ChatTemplate.chatML, ChatTemplate.qwen3, ChatTemplate.qwen3Training,
        """
        {%- macro show(x, y='d') -%}{{ x | tojson(indent=2) ~ y }}{%- endmacro -%}
        {% set ns = namespace(n=0, s='') %}{% for k, v in d | dictsort if v is not none %}
        {{ loop.index }}{{ k.upper()[::-1] }}{{ show(v) }}{% set ns.n = ns.n + 1 %}{% else %}none{% endfor %}
        {{ '%s %05.2f' % (ns.n, 1.5) }}{{ '{:>{}}'.format(1) }}{{ range(1, 9, 2) | list | join(', ') }}
        """,
        """
        {% macro show(x) %}{{ caller(x) if caller else x }}{% endmacro %}{% call(q) show([1, 2, 3]) %}{{ q | batch(2) |
        list }}{% endcall %}{% set a %}x{{ messages[0].content | replace('a', 'b', 1) | indent(3) }}{% endset %}
        {{- a.split('x', 1) | map('trim') | select | list | tojson }}{% raw %}{{ {% endraw %}{# c #}
        {% for x in [[1, [2]], 3] recursive %}{{ loop(x) if x is iterable else x ** 2 // 3 % 5 }}{% endfor %}
        {{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | length }}
        """,
    ]
    private static let templateVariables: JSONObject = [
        "messages": [
            ["role": "user", "content": "a\u{e9} b"], ["role": "assistant", "content": "<think>x</think>y"],
        ],
        "d": ["b": 1, "A": [1.5, nil, "x"], "c": nil], "add_generation_prompt": true, "tools": [["name": "f"]],
    ]

    static let template = FuzzReader(
        name: "template",
        make: { dice in
            let source = Array(dice.pick(templateSources).utf8)
            return FuzzInput("chat_template.jinja", dice.chance(0.9) ? ByteMutation.mutated(source, &dice) : source)
        },
        read: { input, _ in
            let template = try ChatTemplate(String(decoding: input.first, as: UTF8.self))
            let rendered = try template.rendering(templateVariables)
            try BrokenPromise.unless(
                rendered.generationByteSpans.allSatisfy { $0.upperBound <= rendered.text.utf8.count },
                "a span lies outside of the text"
            )
            let harness = try ChatTemplate(
                String(decoding: input.first, as: UTF8.self),
                environment: .evaluationHarness
            )
            _ = try harness.render(templateVariables)
        },
        usesFiles: false
    )
}

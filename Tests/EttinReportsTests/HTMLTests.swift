import Testing

@testable import EttinReports

@Suite("Markup")
struct HTMLTests {
    @Test(
        "texts are escaped wherever they stand",
        arguments: [
            ("</script><script>alert(1)", "&lt;/script&gt;&lt;script&gt;alert(1)"), ("a & b", "a &amp; b"),
            ("\" onload='x", "&quot; onload=&#39;x"), ("&amp;", "&amp;amp;"),
            ("a\u{0}b\u{1B}[0m\u{85}", "a\u{FFFD}b\u{FFFD}[0m\u{FFFD}"),
            ("日本\n\tx", "日本\n\tx"),
        ]
    )
    func escaping(text: String, markup: String) {
        let html: HTML = "<p title=\"\(text)\">\(text)</p>"
        #expect(html.source == "<p title=\"\(markup)\">\(markup)</p>")
    }

    @Test("markup stays markup, numbers are short")
    func markup() {
        let part: HTML = "<b>\("<")</b>"
        let whole: HTML = "\(part)|\([part, part])|\(12)|\(1.26)|\(3.0)|\(-0.04)"
        #expect(whole.source == "<b>&lt;</b>|<b>&lt;</b><b>&lt;</b>|12|1.3|3|0")
    }
}

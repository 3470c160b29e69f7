/// A page that needs no other file, and that can be read without its script.
package struct HTMLPage {
    /// What kind of page it is, such as `Training report`.
    package let kind: String
    package let title: String
    /// A sentence below the title.
    package let lead: String
    /// What the page shows, mostly sections.
    package let content: HTML

    package init(kind: String, title: String, lead: String, content: HTML) {
        self.kind = kind
        self.title = title
        self.lead = lead
        self.content = content
    }

    package var html: HTML {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
        script-src 'unsafe-inline'; img-src data:">
        <link rel="icon" href="data:,">
        <title>\(title)</title>
        <style>
        \(Self.styleSheet)</style>
        </head>
        <body>
        <header>
        <p class="kind">\(kind)</p>
        <h1>\(title)</h1>
        <p class="lead">\(lead)</p>
        </header>
        <main>
        \(content)</main>
        <script>
        \(Self.script)</script>
        </body>
        </html>

        """
    }

    /// A part of the page with a heading.
    ///
    /// - Parameters:
    ///   - id: What links know it by; a word.
    ///   - title: Its heading.
    ///   - content: What it shows.
    /// - Returns: An element `section`.
    package static func section(_ id: String, _ title: String, _ content: HTML) -> HTML {
        """
        <section id="\(id)" aria-labelledby="\(id)-title">
        <h2 id="\(id)-title">\(title)</h2>
        \(content)</section>

        """
    }

    /// The charts that have something to show, side by side or each in the page's whole width.
    package static func figures(_ charts: [LineChart], isWide: Bool) -> HTML {
        let shown = charts.filter { !$0.curves.isEmpty }
        guard !shown.isEmpty else { return "" }
        return """
            <div class="\(isWide ? "charts wide" : "charts")">
            \(shown.map { $0.figure(isWide: isWide) })</div>

            """
    }
}

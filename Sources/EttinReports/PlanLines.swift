/// The text of a plan: lines under headings, names before values.
package struct PlanLines {
    private static let width = 100
    private static let column = 22
    package private(set) var text = ""

    package init() {}

    package mutating func heading(_ title: String) { text += (text.isEmpty ? "" : "\n") + title + "\n" }

    package mutating func add(_ line: String) { text += "  \(line)\n" }

    /// A text that may be long, broken between words.
    package mutating func add(wrapping value: String) { add(value, after: "  ", continuing: "    ") }

    package mutating func add(_ name: String, _ value: String) {
        let start = "  \(name)\(String(repeating: " ", count: max(1, Self.column - name.count)))"
        add(value, after: start, continuing: String(repeating: " ", count: 2 + Self.column))
    }

    private mutating func add(_ value: String, after start: String, continuing indent: String) {
        var line = start
        var isEmpty = true
        for word in value.split(separator: " ", omittingEmptySubsequences: false) {
            if !isEmpty, line.count + 1 + word.count > Self.width {
                text += line + "\n"
                (line, isEmpty) = (indent, true)
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        text += line + "\n"
    }
}

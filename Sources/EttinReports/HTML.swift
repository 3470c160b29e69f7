/// Markup in which texts are escaped by construction: a `String` that is interpolated is text, an `HTML` is markup.
///
/// ```swift
/// let cell: HTML = "<td>\(name)</td>"
/// ```
package struct HTML: ExpressibleByStringInterpolation, Hashable, Sendable {
    package let source: String

    package init(stringLiteral source: String) { self.source = source }

    package init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }

    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var source = ""

        package init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity * 2) }

        package mutating func appendLiteral(_ literal: String) { source += literal }

        package mutating func appendInterpolation(_ text: String) { source += HTML.escaped(text) }

        package mutating func appendInterpolation(_ number: Int) { source += "\(number)" }

        /// A length in a drawing.
        package mutating func appendInterpolation(_ coordinate: Double) {
            source += NumberText.trimmed(NumberText.fixed(coordinate, places: 1))
        }

        package mutating func appendInterpolation(_ markup: HTML) { source += markup.source }

        package mutating func appendInterpolation(_ markup: [HTML]) { for part in markup { source += part.source } }
    }

    /// A text for content and quoted attributes alike; what HTML cannot hold becomes U+FFFD.
    private static func escaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result.append(contentsOf: "&amp;".unicodeScalars)
            case "<": result.append(contentsOf: "&lt;".unicodeScalars)
            case ">": result.append(contentsOf: "&gt;".unicodeScalars)
            case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
            case "'": result.append(contentsOf: "&#39;".unicodeScalars)
            case "\t", "\n": result.append(scalar)
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value): result.append("\u{FFFD}")
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}

/// Quotes text that comes from a file for use in a message: control characters escaped, long text shortened.
///
/// - Parameters:
///   - text: Any text.
///   - limit: Maximum number of characters to show.
/// - Returns: The text in double quotes, on one line.
package func quoted(_ text: String, limit: Int = 200) -> String {
    var result = "\""
    var shown = 0
    for scalar in text.unicodeScalars {
        if shown == limit {
            result += "…"
            break
        }
        shown += 1
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\"": result += "\\\""
        case _
        where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            || (0x200B...0x200F).contains(scalar.value) || (0x2028...0x202E).contains(scalar.value):
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// A message in which control characters of names from files are spelled, line feeds excepted.
func escapingControls(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 && $0 != 0x0A }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
        if scalar.value < 0x20, scalar != "\n" {
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

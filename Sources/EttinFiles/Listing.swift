/// Names as a message lists them: each quoted, the first few of many.
///
/// - Parameters:
///   - names: At least one name.
///   - limit: The largest number of names to show.
/// - Returns: Such as `"a", "b" and 7 more`.
package func listing(_ names: [String], limit: Int = 5) -> String {
    let shown = names.prefix(limit).map { quoted($0) }
    guard names.count <= limit else { return shown.joined(separator: ", ") + " and \(names.count - limit) more" }
    return shown.count < 2 ? shown.joined() : shown.dropLast().joined(separator: ", ") + " and " + (shown.last ?? "")
}

/// Finds the texts that end generation in text that arrives in pieces.
///
/// What could be the beginning of such a text is held back until it is certain.
struct StopTexts {
    private let texts: [[UInt8]]
    private var pending: [UInt8] = []

    init(_ texts: [String]) {
        self.texts = texts.map { Array($0.utf8) }
    }

    /// Takes the next piece.
    ///
    /// - Returns: The text that is certain by now, and whether an end was found behind it.
    mutating func append(_ piece: String) -> (text: String, isStopped: Bool) {
        guard !texts.isEmpty else { return (piece, false) }
        pending.append(contentsOf: piece.utf8)
        for start in pending.indices {
            if texts.contains(where: { pending[start...].starts(with: $0) }) {
                defer { pending = [] }
                return (String(decoding: pending[..<start], as: UTF8.self), true)
            }
            // From here on everything is the beginning of an end.
            if texts.contains(where: { $0.starts(with: pending[start...]) }) {
                defer { pending.removeFirst(start) }
                return (String(decoding: pending[..<start], as: UTF8.self), false)
            }
        }
        defer { pending = [] }
        return (String(decoding: pending, as: UTF8.self), false)
    }

    /// What was held back.
    mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }
}

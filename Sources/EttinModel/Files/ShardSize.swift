import EttinFiles

/// The maximum size of one file of a sharded checkpoint, transformers' `max_shard_size`.
///
/// A tensor that is larger gets a file of its own.
public struct ShardSize: Hashable, Sendable, CustomStringConvertible {
    /// The limit in bytes.
    package let bytes: Int

    /// The limit of transformers 5.x, `50GB`.
    public static let `default` = ShardSize(bytes: 50_000_000_000)

    /// Creates a limit.
    ///
    /// - Parameter bytes: The limit in bytes; at least 1.
    public init(bytes: Int) {
        self.bytes = max(1, bytes)
    }

    /// Reads a limit as transformers spells it: `5GB`, `200MB`, `1.5TB`, `64KB`; units are powers of 1000.
    ///
    /// - Parameter text: A number and a unit, or a plain number of bytes.
    /// - Throws: `CheckpointError` when `text` is not a size.
    ///
    /// > Source: huggingface_hub `serialization/_base.py`, `parse_size_to_int`.
    public init(_ text: String) throws {
        let trimmed = text.trimmingSpaces()
        let units: [(String, Double)] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)]
        let unit = units.first { trimmed.uppercased().hasSuffix($0.0) }
        let digits = unit == nil ? trimmed : String(trimmed.dropLast(2)).trimmingSpaces()
        guard let number = Double(digits), number.isFinite,
            let bytes = Int(exactly: (number * (unit?.1 ?? 1)).rounded(.down)), bytes > 0
        else {
            throw CheckpointError(
                .unsupported,
                file: "the shard size",
                found: "is \(quoted(text))",
                expected: "a number above 0 with TB, GB, MB or KB, such as 5GB"
            )
        }
        self.init(bytes: bytes)
    }

    /// The limit in bytes, with the largest unit that divides it.
    public var description: String {
        for (unit, size) in [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000)]
        where bytes.isMultiple(of: size) {
            return "\(bytes / size)\(unit)"
        }
        return "\(bytes)"
    }
}

extension String {
    fileprivate func trimmingSpaces() -> String {
        let isSpace = { (character: Character) in character.isWhitespace }
        guard let start = firstIndex(where: { !isSpace($0) }), let end = lastIndex(where: { !isSpace($0) }) else {
            return ""
        }
        return String(self[start...end])
    }
}

import EttinFiles

/// What a user means by a data set: `train.jsonl`, `data/*.parquet`, `folder:test`, `owner/name:config:split`, with `*` for
/// all configurations one after the other.
public struct DatasetReference: Hashable, Sendable, CustomStringConvertible {
    /// Where the data set is.
    public enum Location: Hashable, Sendable {
        /// A file, a folder, or a pattern for files.
        case path(String)
        /// A data set on the Hub, `owner/name`.
        case hub(String)
    }

    /// Where the data set is.
    public let location: Location
    /// What stands behind it: configuration, split, both in this order, or neither.
    public private(set) var qualifiers: [String]
    /// The reference as it was given.
    public let description: String

    /// Reads a reference.
    ///
    /// What is there as a file or folder is a path, colons included; a name of the form `owner/name` that is not there is
    /// a data set on the Hub.
    ///
    /// - Parameter text: The reference.
    /// - Throws: `TableError` for more than two qualifiers, and for empty ones.
    public init(_ text: String) throws {
        description = text
        if FilePath.exists(text) {
            (location, qualifiers) = (.path(text), [])
            return
        }
        var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let name = parts.removeFirst()
        guard !name.isEmpty, parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }) else {
            throw TableError(
                .invalidOption,
                file: shown(text),
                found: "is not a data set",
                expected: "a file, a folder, a pattern, or owner/name, with :config:split behind it where needed"
            )
        }
        qualifiers = parts
        location = !FilePath.exists(name) && Self.isHubName(name) ? .hub(name) : .path(name)
    }

    private static func isHubName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, TableOptions.Format(fileName: text) == nil else { return false }
        return parts.allSatisfy { part in
            !part.isEmpty && part != "." && part != ".."
                && part.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                        true
                    default: false
                    }
                }
        }
    }

    /// Chooses a split.
    ///
    /// One qualifier names a configuration where there is such a one, otherwise a split. Without a configuration, the
    /// only one is meant, or the default one; without a split, `train`, or the only one.
    ///
    /// - Parameters:
    ///   - splits: What there is.
    ///   - defaultConfiguration: The configuration that is meant where none is named.
    /// - Returns: The number of the split.
    /// - Throws: `TableError` listing what there is when it has no such split.
    public func choice(
        among splits: [(configuration: String, split: String)],
        defaultConfiguration: String = "default"
    ) throws -> Int {
        func refused(_ found: String, _ names: [String]) -> TableError {
            var unique: [String] = []
            for name in names where !unique.contains(name) { unique.append(name) }
            return TableError(
                .missing,
                file: description,
                found: found,
                expected: unique.isEmpty ? "files of data" : "one of \(listing(unique, limit: 16))"
            )
        }
        let configurations = splits.map(\.configuration)
        var (configuration, split): (String?, String?)
        switch qualifiers.count {
        case 0: (configuration, split) = (nil, nil)
        case 1 where configurations.contains(qualifiers[0]): (configuration, split) = (qualifiers[0], nil)
        case 1: (configuration, split) = (nil, qualifiers[0])
        default: (configuration, split) = (qualifiers[0], qualifiers[1])
        }
        if configuration == nil {
            configuration = Set(configurations).count == 1 ? configurations[0] : defaultConfiguration
        }
        let candidates = splits.indices.filter { splits[$0].configuration == configuration }
        guard !candidates.isEmpty else {
            let asked = qualifiers.first.map { "has no configuration or split \(shown($0))" }
            throw refused(asked ?? "has several configurations", configurations)
        }
        if let found = candidates.first(where: { splits[$0].split == split ?? "train" }) { return found }
        if split == nil, candidates.count == 1 { return candidates[0] }
        throw refused("has no split \(shown(split ?? "train"))", candidates.map { splits[$0].split })
    }

    /// Chooses a split, or one of each configuration.
    ///
    /// - Parameters:
    ///   - splits: What there is.
    ///   - defaultConfiguration: The configuration that is meant where none is named.
    /// - Returns: The numbers of the splits, in the order of their configurations.
    /// - Throws: `TableError` listing what there is when it, or one of the configurations, has no such split.
    public func choices(
        among splits: [(configuration: String, split: String)],
        defaultConfiguration: String = "default"
    ) throws -> [Int] {
        guard qualifiers.first == "*" else {
            return [try choice(among: splits, defaultConfiguration: defaultConfiguration)]
        }
        var configurations: [String] = []
        for split in splits where !configurations.contains(split.configuration) {
            configurations.append(split.configuration)
        }
        guard !configurations.isEmpty else {
            throw TableError(.missing, file: description, found: "has no configurations", expected: "files of data")
        }
        return try configurations.map { name in
            var one = self
            one.qualifiers = [name] + qualifiers.dropFirst()
            return try one.choice(among: splits)
        }
    }

    /// The files of the split that is meant.
    ///
    /// - Parameter splits: What there is.
    /// - Returns: Their paths, relative to the data set.
    /// - Throws: `TableError` listing what there is when it has no such split, or naming the pattern of the card that
    ///   matches no file.
    package func files(among splits: [DatasetSplitFiles]) throws -> [String] {
        let names = splits.map { (configuration: $0.configuration, split: $0.split) }
        let flagged = splits.first(where: \.isDefault)?.configuration
        let choices = try choices(among: names, defaultConfiguration: flagged ?? "default")
        return try choices.flatMap { try files(of: splits[$0]) }
    }

    private func files(of chosen: DatasetSplitFiles) throws -> [String] {
        if let pattern = chosen.unmatched.first {
            throw TableError(
                .missing,
                file: description,
                item: "configuration \(shown(chosen.configuration))",
                found: "names the files \(shown(pattern)) for the split \(shown(chosen.split)), which none matches",
                expected: "files of a format that is read: "
                    + TableOptions.Format.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")
            )
        }
        return chosen.files
    }
}

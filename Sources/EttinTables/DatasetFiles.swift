import EttinFiles
import EttinRecipes

/// The files of a split of a data set.
public struct DatasetSplitFiles: Hashable, Sendable {
    /// The configuration; `default` where there is one without a name.
    public let configuration: String
    /// The split, such as `train`, `validation` or `test`.
    public let split: String
    /// The paths of its files, relative to the data set and sorted.
    public let files: [String]
}

/// Which files of a data set hold which split, by the conventions of `datasets`.
///
/// > Source: `datasets`, `data_files.py`: the front matter of the card first, then `data/SPLIT-00000-of-00001.…`, then the
/// > words of names of folders and files.
public enum DatasetFiles {
    /// The splits of a data set.
    ///
    /// - Parameters:
    ///   - listing: The paths of all files, relative to the data set.
    ///   - card: The content of its `README.md`; nil where there is none.
    /// - Returns: The splits, by configuration and name.
    /// - Throws: `TableError` for a card whose `configs` are not understood, or name files that are not there.
    public static func splits(in listing: [String], card: [UInt8]? = nil) throws -> [DatasetSplitFiles] {
        let files = listing.filter(isData).sorted()
        if let card, let configured = try configured(card, files), !configured.isEmpty { return configured }
        var groups: [DatasetSplitFiles] = []
        let sharded = files.filter { shardedSplit($0) != nil }
        let named = files.filter { namedSplit($0) != nil }
        let chosen = !sharded.isEmpty ? sharded : !named.isEmpty ? named : files
        for file in chosen {
            let split = shardedSplit(file) ?? namedSplit(file) ?? "train"
            let folders = file.split(separator: "/").dropLast().map(String.init)
            let configuration = folders.first { $0 != "data" && keyword(in: $0) == nil } ?? "default"
            groups = adding([file], configuration, split, to: groups)
        }
        return groups.sorted { ($0.configuration, $0.split) < ($1.configuration, $1.split) }
    }

    /// Whether a file is one of data that this library reads.
    static func isData(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        guard let name = parts.last, !parts.contains(where: { $0.hasPrefix(".") || $0.hasPrefix("__") }) else {
            return false
        }
        let others = ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"]
        var plain = name.lowercased()
        for packing in [".gz", ".zst", ".zstd"] where plain.hasSuffix(packing) { plain.removeLast(packing.count) }
        return !others.contains(plain) && TableOptions.Format(fileName: plain) != nil
    }

    private static func adding(
        _ files: [String],
        _ configuration: String,
        _ split: String,
        to groups: [DatasetSplitFiles]
    ) -> [DatasetSplitFiles] {
        var groups = groups
        let place = groups.firstIndex { $0.configuration == configuration && $0.split == split }
        let known = place.map { groups.remove(at: $0).files } ?? []
        groups.append(
            DatasetSplitFiles(
                configuration: configuration,
                split: split,
                files: known + files.filter { !known.contains($0) }
            )
        )
        return groups
    }

    // MARK: - Names

    /// The split of `data/SPLIT-00000-of-00001.parquet`, with or without a folder.
    private static func shardedSplit(_ path: String) -> String? {
        guard let name = path.split(separator: "/").last?.split(separator: ".").first else { return nil }
        let parts = name.split(separator: "-")
        func isNumber(_ text: Substring) -> Bool { text.utf8.count == 5 && text.utf8.allSatisfy { 0x30...0x39 ~= $0 } }
        guard let place = parts.lastIndex(of: "of"), place >= 2, place + 1 < parts.count, isNumber(parts[place - 1]),
            isNumber(parts[place + 1].prefix(5))
        else { return nil }
        return parts[..<(place - 1)].joined(separator: "-")
    }

    /// The split that a word of a file's name tells, or of a folder's.
    private static func namedSplit(_ path: String) -> String? {
        path.split(separator: "/").reversed().lazy.compactMap { keyword(in: String($0)) }.first
    }

    private static let keywords = [
        "train": "train", "training": "train", "validation": "validation", "valid": "validation", "dev": "validation",
        "val": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    ]

    private static func keyword(in name: String) -> String? {
        let words = name.split { "-._ 0123456789".contains($0) }
        return words.lazy.compactMap { keywords[String($0)] }.first
    }

    // MARK: - The card

    /// The splits that the card's `configs` name; nil for a card without.
    private static func configured(_ card: [UInt8], _ files: [String]) throws -> [DatasetSplitFiles]? {
        guard let matter = frontMatter(card) else { return nil }
        let root = try named { try YAMLNode(parsing: matter, name: "README.md", expected: "front matter") }
        guard let list = root["configs"], case .list(let configurations) = list.content else { return nil }
        var groups: [DatasetSplitFiles] = []
        for configuration in configurations {
            let name = text(configuration["config_name"]) ?? "default"
            let folder = text(configuration["data_dir"]).map { $0.hasSuffix("/") ? $0 : $0 + "/" } ?? ""
            for (split, patterns) in try patterns(configuration["data_files"], name, folder) {
                let found = try patterns.flatMap { pattern in
                    let matches = files.filter { PathPattern(folder + pattern).matches($0) }
                    guard !matches.isEmpty else {
                        throw TableError(
                            .missing,
                            file: "README.md",
                            item: "configuration \(shown(name))",
                            found: "names the files \(shown(folder + pattern)), which are not there",
                            expected: "files of a format that is read"
                        )
                    }
                    return matches
                }
                groups = adding(found, name, split, to: groups)
            }
        }
        return groups.sorted { ($0.configuration, $0.split) < ($1.configuration, $1.split) }
    }

    private static func patterns(
        _ node: YAMLNode?,
        _ configuration: String,
        _ folder: String
    ) throws -> [(split: String, patterns: [String])] {
        func refused() -> TableError {
            TableError(
                .unsupported,
                file: "README.md",
                item: "configuration \(shown(configuration))",
                found: "has data_files that are not understood",
                expected: "a pattern, a list of patterns, or a list of split and path"
            )
        }
        func texts(_ node: YAMLNode?) throws -> [String] {
            switch node?.content {
            case .scalar(let text, _)?: return [text]
            case .list(let nodes)?:
                return try nodes.map { node in
                    guard let text = text(node) else { throw refused() }
                    return text
                }
            default: throw refused()
            }
        }
        guard let node else { return folder.isEmpty ? [] : [("train", ["**"])] }
        switch node.content {
        case .scalar: return [("train", try texts(node))]
        case .mapping(let splits): return try splits.map { ($0.key, try texts($0.value)) }
        case .list(let nodes):
            if nodes.allSatisfy({ text($0) != nil }) { return [("train", try texts(node))] }
            return try nodes.map { entry in
                guard let split = text(entry["split"]) else { throw refused() }
                return (split, try texts(entry["path"]))
            }
        }
    }

    private static func text(_ node: YAMLNode?) -> String? {
        guard case .scalar(let text, _)? = node?.content else { return nil }
        return text
    }

    /// The YAML between the first two lines of three dashes.
    private static func frontMatter(_ card: [UInt8]) -> [UInt8]? {
        let lines = card.split(separator: 0x0A, omittingEmptySubsequences: false)
        func isRule(_ line: ArraySlice<UInt8>) -> Bool {
            line.elementsEqual("---".utf8) || line.elementsEqual("---\r".utf8)
        }
        guard let first = lines.first, isRule(first), let end = lines.dropFirst().firstIndex(where: isRule) else {
            return nil
        }
        return Array(lines[1..<end].joined(separator: [0x0A]))
    }

    private static func named<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as RecipeError {
            throw TableError(
                .malformed,
                file: error.place,
                item: error.item,
                found: error.found,
                expected: error.expected
            )
        }
    }
}

/// A pattern for paths: `**` is any folders, `*` and `?` stay within a name.
struct PathPattern {
    private let pattern: [UInt8]

    init(_ pattern: String) {
        self.pattern = Array((pattern.hasPrefix("./") ? String(pattern.dropFirst(2)) : pattern).utf8)
    }

    func matches(_ path: String) -> Bool {
        // For each prefix of the pattern, the prefixes of the path that it matches: no pattern takes long.
        let path = Array(path.utf8)
        let (slash, star) = (UInt8(ascii: "/"), UInt8(ascii: "*"))
        var reached = Array(repeating: false, count: path.count + 1)
        reached[0] = true
        var position = 0
        while position < pattern.count {
            let byte = pattern[position]
            var next = Array(repeating: false, count: path.count + 1)
            let isDeep = byte == star && position + 1 < pattern.count && pattern[position + 1] == star
            if byte == star {
                position += isDeep ? 2 : 1
                // `**/` is also no folder at all.
                let mayVanish = isDeep && position < pattern.count && pattern[position] == slash
                var isOpen = false
                for place in 0...path.count {
                    if reached[place] { isOpen = true }
                    next[place] = isOpen
                    if place < path.count, path[place] == slash, !isDeep { isOpen = false }
                }
                if mayVanish {
                    position += 1
                    var behind = reached
                    for place in 0..<path.count where next[place] && path[place] == slash { behind[place + 1] = true }
                    next = behind
                }
            } else {
                position += 1
                for place in 0..<path.count where reached[place] {
                    let isSame = path[place] == byte || byte == UInt8(ascii: "?") && path[place] != slash
                    if isSame { next[place + 1] = true }
                }
            }
            reached = next
        }
        return reached[path.count]
    }
}

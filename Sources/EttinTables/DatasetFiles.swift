import EttinFiles
import EttinRecipes

/// The files of a split of a data set.
public struct DatasetSplitFiles: Hashable, Sendable {
    /// The configuration; `default` where there is one without a name.
    public let configuration: String
    /// The split, such as `train`, `validation` or `test`.
    public let split: String
    /// The paths of its files, relative to the data set: sorted, or in the order of the card's patterns.
    public let files: [String]
    /// Whether the card says `default: true` of the configuration, which is the one meant where none is named.
    public let isDefault: Bool
    /// The patterns of the card that match no file of a format that is read.
    let unmatched: [String]
}

/// Which files of a data set hold which split, by the conventions of `datasets`.
///
/// > Source: `datasets`, `data_files.py`: the front matter of the card first, then `data/SPLIT-00000-of-00001.…`, then the
/// > words of names of folders, then those of files.
public enum DatasetFiles {
    /// The splits of a data set.
    ///
    /// Only the card makes configurations other than `default`. A pattern of the card without a match is an error only
    /// for who chooses its split.
    ///
    /// - Parameters:
    ///   - listing: The paths of all files, relative to the data set.
    ///   - card: The content of its `README.md`; nil where there is none.
    /// - Returns: The splits, by configuration and name.
    /// - Throws: `TableError` for a card whose `configs` are not understood.
    public static func splits(in listing: [String], card: [UInt8]? = nil) throws -> [DatasetSplitFiles] {
        let files = listing.filter(isData).sorted()
        if let card, let configured = try configured(card, files), !configured.isEmpty { return configured }
        return splits(byNamesOf: files).map {
            DatasetSplitFiles(
                configuration: "default",
                split: $0.split,
                files: $0.files,
                isDefault: false,
                unmatched: []
            )
        }
    }

    /// Whether a file is one of data that this library reads.
    static func isData(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        guard let name = parts.last, !parts.contains(where: { $0.hasPrefix(".") }),
            !parts.dropLast().contains(where: { $0.hasPrefix("__") })
        else { return false }
        let others = ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"]
        var plain = name.lowercased()
        for packing in [".gz", ".zst", ".zstd"] where plain.hasSuffix(packing) { plain.removeLast(packing.count) }
        return !others.contains(plain) && TableOptions.Format(fileName: plain) != nil
    }

    // MARK: - Names

    /// The splits that the names of files and folders tell, in alphabetical order; the first rule that finds any decides.
    ///
    /// As in `datasets`, a name with words of two splits is a file of both.
    private static func splits(byNamesOf files: [String]) -> [(split: String, files: [String])] {
        func grouped(_ splits: (String) -> Set<String>) -> [(split: String, files: [String])] {
            var groups: [String: [String]] = [:]
            for file in files {
                for split in splits(file) { groups[split, default: []].append(file) }
            }
            return groups.sorted { $0.key < $1.key }.map { (split: $0.key, files: $0.value) }
        }
        let rules: [(String) -> Set<String>] = [
            { shardedSplit($0).map { [$0] } ?? [] },
            { $0.split(separator: "/").dropLast().reduce(into: []) { $0.formUnion(splits(namedIn: $1)) } },
            { $0.split(separator: "/").last.map { splits(namedIn: $0) } ?? [] },
            { _ in ["train"] },
        ]
        return rules.lazy.map(grouped).first { !$0.isEmpty } ?? []
    }

    /// The split of `data/SPLIT-00000-of-00001.parquet`.
    private static func shardedSplit(_ path: String) -> String? {
        let names = path.split(separator: "/")
        guard names.count == 2, names[0] == "data", let name = names[1].split(separator: ".").first else { return nil }
        let parts = name.split(separator: "-")
        func isNumber(_ text: Substring) -> Bool { text.utf8.count == 5 && text.utf8.allSatisfy { 0x30...0x39 ~= $0 } }
        guard let place = parts.lastIndex(of: "of"), place >= 2, place + 1 < parts.count, isNumber(parts[place - 1]),
            isNumber(parts[place + 1].prefix(5))
        else { return nil }
        return parts[..<(place - 1)].joined(separator: "-")
    }

    private static let keywords = [
        "train": "train", "training": "train", "validation": "validation", "valid": "validation", "dev": "validation",
        "val": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    ]

    /// The splits whose words are in the name of a file or folder.
    private static func splits(namedIn name: Substring) -> Set<String> {
        Set(name.split { "-._ 0123456789".contains($0) }.compactMap { keywords[String($0)] })
    }

    // MARK: - The card

    /// The splits that the card's `configs` name; nil for a card without.
    private static func configured(_ card: [UInt8], _ files: [String]) throws -> [DatasetSplitFiles]? {
        guard let matter = frontMatter(card) else { return nil }
        let root = try named { try YAMLNode(parsing: matter, name: "README.md", expected: "front matter") }
        guard let list = root["configs"], case .list(let configurations) = list.content else { return nil }
        var splits: [DatasetSplitFiles] = []
        for configuration in configurations {
            let name = text(configuration["config_name"]) ?? "default"
            let isDefault = ["true", "True", "TRUE"].contains(text(configuration["default"]) ?? "")
            let folder = folder(text(configuration["data_dir"]) ?? "")
            func add(_ split: String, _ files: [String], unmatched: [String] = []) {
                splits.append(
                    DatasetSplitFiles(
                        configuration: name,
                        split: split,
                        files: files,
                        isDefault: isDefault,
                        unmatched: unmatched
                    )
                )
            }
            guard let node = configuration["data_files"] else {
                let below = files.filter { $0.hasPrefix(folder) }.map { String($0.dropFirst(folder.count)) }
                for (split, files) in DatasetFiles.splits(byNamesOf: below) { add(split, files.map { folder + $0 }) }
                if below.isEmpty { add("train", [], unmatched: [folder + "**"]) }
                continue
            }
            for (split, patterns) in try patterns(node, name) {
                var (found, unmatched): ([String], [String]) = ([], [])
                var seen: Set<String> = []
                for pattern in patterns.map({ folder + ($0.hasPrefix("./") ? String($0.dropFirst(2)) : $0) }) {
                    let matches = files.filter(PathPattern(pattern).matches)
                    if matches.isEmpty { unmatched.append(pattern) }
                    found += matches.filter { seen.insert($0).inserted }
                }
                add(split, found, unmatched: unmatched)
            }
        }
        return splits.sorted { ($0.configuration, $0.split) < ($1.configuration, $1.split) }
    }

    /// A `data_dir` as the paths below it begin.
    private static func folder(_ text: String) -> String {
        text.split(separator: "/").filter { $0 != "." }.map { $0 + "/" }.joined()
    }

    private static func patterns(
        _ node: YAMLNode,
        _ configuration: String
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

/// A pattern for paths: `**` is any folders; `*`, `?` and sets as `[0-9]` and `[!a]` stay within a name.
struct PathPattern {
    private let pattern: [UInt8]

    init(_ pattern: String) { self.pattern = Array(pattern.utf8) }

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
                let set = byte == UInt8(ascii: "[") ? set(at: position) : nil
                position = set?.end ?? position + 1
                for place in 0..<path.count where reached[place] {
                    let isSame =
                        if let set {
                            path[place] != slash && set.ranges.contains { $0 ~= path[place] } != set.isInverted
                        } else {
                            path[place] == byte || byte == UInt8(ascii: "?") && path[place] != slash
                        }
                    if isSame { next[place + 1] = true }
                }
            }
            reached = next
        }
        return reached[path.count]
    }

    /// The set that a bracket begins; nil for a bracket that none closes, which is a character as others.
    private func set(at start: Int) -> (ranges: [ClosedRange<UInt8>], isInverted: Bool, end: Int)? {
        var position = start + 1
        let isInverted = position < pattern.count && pattern[position] == UInt8(ascii: "!")
        if isInverted { position += 1 }
        let first = position
        var ranges: [ClosedRange<UInt8>] = []
        while position < pattern.count {
            let low = pattern[position]
            if low == UInt8(ascii: "]"), position > first { return (ranges, isInverted, position + 1) }
            if position + 2 < pattern.count, pattern[position + 1] == UInt8(ascii: "-"),
                pattern[position + 2] != UInt8(ascii: "]")
            {
                if low <= pattern[position + 2] { ranges.append(low...pattern[position + 2]) }
                position += 3
            } else {
                ranges.append(low...low)
                position += 1
            }
        }
        return nil
    }
}

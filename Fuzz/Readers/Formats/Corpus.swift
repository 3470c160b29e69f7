import EttinCorpus
import EttinFiles
import EttinJSON
import EttinTokenizer
import Foundation

extension FuzzReader {
    static let corpus = [mds, parquet, documents, order, journal]

    // MARK: - MDS

    /// Data sets that our writer makes: plain, compressed, of several shards and of every kind of column.
    private static let datasets = Result {
        [
            try written(MDSWriter.Options(hashes: [.sha1], sizeLimit: 400)),
            try written(MDSWriter.Options(compression: .zstandard, hashes: [.xxh64])),
            try written(MDSWriter.Options(compression: Compression(name: "gz"), sizeLimit: 400)),
        ]
    }

    private static func written(_ options: MDSWriter.Options) throws -> FuzzInput {
        let folder = FilePath.joined(NSTemporaryDirectory(), "ettin-fuzz-\(FilePath.randomName())")
        defer { try? FilePath.removeTree(folder) }
        let columns: [(name: String, encoding: MDSEncoding)] = [
            ("input_ids", .array(element: .uint16, shape: nil)), ("id", .string), ("len", .integer), ("extra", .json),
        ]
        let writer = try MDSWriter(folder: folder, columns: columns, options: options)
        for sample in 0..<9 {
            let ids = (0...(sample * 3 % 7)).map { Int32($0 * 5) }
            try writer.append([
                "input_ids": .array(MDSArray(tokenIDs: ids, element: .uint16)), "id": .string("doc-\(sample)"),
                "len": .integer(Int64(ids.count)), "extra": .json(["a": JSONValue(sample)]),
            ])
        }
        try writer.finish()
        return try contents(folder)
    }

    static func contents(_ folder: String) throws -> FuzzInput {
        try FuzzInput(
            FilePath.filesBelow(folder).sorted().map { ($0, try OpenFile.contents(of: FilePath.joined(folder, $0))) }
        )
    }

    static let mds = FuzzReader(
        name: "mds",
        make: { dice in
            var input = dice.pick(try datasets.get())
            let words = [
                "zstd", "gz", "br", "snappy", "ndarray:uint16", "ndarray", "uint8", "str", "int", "json", "sha1",
                "jpeg",
            ]
            for _ in 0..<dice.pick([1, 1, 2]) {
                let shards = input.files.map(\.name).filter { $0 != "index.json" }
                let name = dice.chance(0.55) ? "index.json" : dice.pick(shards)
                guard name != "index.json" else {
                    input[name] = JSONMutation(words: words).mutated(input[name], &dice)
                    continue
                }
                var bytes = input[name]
                if name.hasSuffix(".mds"), bytes.count > 16, dice.chance(0.6) {
                    // The number of samples and the places of the first ones.
                    let place = 4 * dice.below(4)
                    bytes.replaceSubrange(
                        place..<place + 4,
                        with: littleEndian(UInt32(truncatingIfNeeded: dice.pick(Hostile.integers)))
                    )
                } else {
                    bytes = ByteMutation.mutated(bytes, &dice)
                }
                input[name] = bytes
                if dice.chance(0.8) { correctSizes(&input, name) }
            }
            return input
        },
        read: { input, folder in
            let dataset = try MDSDataset(folder: folder, decompression: .intoMemory, openShardLimit: 2)
            let report = dataset.verified(tokenColumn: "input_ids", vocabularySize: 100)
            for sample in 0..<min(dataset.sampleCount, 20) {
                _ = try dataset.values(at: sample)
                _ = try dataset.tokenIDs(at: sample)
            }
            _ = (report, try Inspection(dataset).json)
        },
        leavesFiles: true
    )

    /// Lets the index say the size that a file has, so that the file itself is read; hashes go.
    private static func correctSizes(_ input: inout FuzzInput, _ name: String) {
        guard var index = (try? JSONValue(parsing: input["index.json"]))?.objectValue else { return }
        let shards = index["shards"]?.arrayValue?.map { shard -> JSONValue in
            guard var object = shard.objectValue else { return shard }
            for key in ["raw_data", "zip_data"] {
                guard var data = object[key]?.objectValue, data["basename"]?.stringValue == name else { continue }
                data["bytes"] = JSONValue(input[name].count)
                data["hashes"] = [:]
                object[key] = .object(data)
            }
            return .object(object)
        }
        index["shards"] = shards.map { .array($0) }
        input["index.json"] = JSONMutation.written(.object(index))
    }

    // MARK: - Parquet

    private static func fixture(_ name: String) throws -> [UInt8] {
        let root = (0..<4).reduce(URL(filePath: #filePath)) { path, _ in path.deletingLastPathComponent() }
        return try OpenFile.contents(of: root.appending(path: "Tests/Fixtures/parquet/\(name).parquet").path)
    }

    private static let tables: [[UInt8]] = ["plain", "dictionary", "pages-v2", "delta"].compactMap { try? fixture($0) }
    private static let orders: [[UInt8]] = ["steps_000001_to_000005"].compactMap { try? fixture($0) }

    private static func changed(_ file: [UInt8], _ dice: inout Dice) throws -> [UInt8] {
        guard var parts = ParquetParts(file) else { throw BrokenPromise("a fixture is no Parquet file of ours") }
        if dice.chance(0.95) { parts.mutate(&dice) }
        let bytes = parts.bytes(&dice)
        return dice.chance(0.05) ? ByteMutation.mutated(bytes, &dice) : bytes
    }

    static let parquet = FuzzReader(
        name: "parquet",
        make: { dice in FuzzInput("a.parquet", try changed(dice.pick(tables), &dice)) },
        read: { _, folder in
            let file = try ParquetFile(path: folder + "/a.parquet")
            var rows = try file.rows(of: file.fields)
            var count = 0
            // Of a file that promises millions of rows, the first show all that there is.
            while count < 5000, try rows.next() != nil { count += 1 }
        }
    )

    // MARK: - Documents

    private static let lines = """
        {"id": "a", "text": "one two"}
        {"text": "é\\n\\ud83d\\ude00", "meta": {"n": 1}}

        {"id": 7, "text": ""}
        {"text": "last", "id": null}

        """

    static let documents = FuzzReader(
        name: "documents",
        make: { dice in
            var bytes = LineMutation(values: ["[]}", "1}", "\"\\ud800\"}", "NaN}"]).mutated(lines, &dice)
            let kind = dice.pick(["jsonl", "txt", "jsonl.zst", "txt.gz", "parquet"])
            if kind == "parquet" { return FuzzInput("a.parquet", try changed(dice.pick(tables), &dice)) }
            if kind.hasSuffix("zst") || kind.hasSuffix("gz") {
                if dice.chance(0.2) { bytes = Array(repeating: 0x61, count: 1 << 14) }
                let algorithm: Compression = kind.hasSuffix("zst") ? .zstandard : try Compression(name: "gz")
                bytes = try bytes.withUnsafeBytes { try algorithm.compress($0, file: "a") }
                if dice.chance(0.3) { bytes += bytes }
            }
            return FuzzInput("a.\(kind)", dice.chance(0.4) ? ByteMutation.mutated(bytes, &dice) : bytes)
        },
        read: { input, folder in
            let rules: [ReadingOptions.EmptyDocumentRule] = [.refuse, .skip, .keep]
            let options = ReadingOptions(
                splitting: input.byteCount.isMultiple(of: 2) ? .line : .separator("\n\n"),
                invalidText: input.byteCount.isMultiple(of: 3) ? .replace : .refuse,
                emptyDocuments: rules[input.byteCount % 3],
                longestDocumentBytes: 1 << 20
            )
            let inputs = try CorpusInput.find([folder + "/" + (input.files.first?.name ?? "")])
            for part in 0..<(input.byteCount % 3 + 1) {
                var reader = DocumentReader(
                    inputs,
                    options: options,
                    part: try JobPart(index: part, count: input.byteCount % 3 + 1)
                )
                while let batch = try reader.next() {
                    _ = try batch.documents()
                    _ = reader.workDone
                }
            }
        },
        leavesFiles: false
    )

    // MARK: - Orders

    private static let orderLines = """
        {"step": 1, "input_ids": [1, 2, 3]}
        {"step": 1, "input_ids": [4]}
        {"step": 2, "input_ids": []}
        {"step": 9, "input_ids": [5, 6]}

        """

    static let order = FuzzReader(
        name: "order",
        make: { dice in
            if dice.chance(0.4) {
                return FuzzInput("steps_000001_to_000005.parquet", try changed(dice.pick(orders), &dice))
            }
            return FuzzInput(
                "a.jsonl",
                LineMutation(values: ["[1]}", "[2147483648]}", "1, \"input_ids\": [1]}"]).mutated(orderLines, &dice)
            )
        },
        read: { input, folder in
            let path = folder + "/" + (input.files.first?.name ?? "")
            var order = try ExplicitOrder.opened(path)
            var steps = 0
            while steps < 5000, let step = try order.next() {
                _ = step.samples.count
                steps += 1
            }
            var skipping = try ExplicitOrder.opened(path)
            try skipping.skip(toStep: 2)
        }
    )
}

import EttinFiles
import TestSupport
import Testing

@testable import EttinCorpus

/// All documents of inputs, in order.
func documents(
    _ paths: [String],
    _ options: ReadingOptions = ReadingOptions(),
    part: JobPart = .whole
) throws -> [Document] {
    var reader = DocumentReader(try CorpusInput.find(paths, format: options.format), options: options, part: part)
    var documents: [Document] = []
    while let batch = try reader.next() { documents += try batch.documents().compactMap(\.self) }
    return documents
}

func packed(_ text: String, _ name: String) throws -> [UInt8] {
    let compression = try Compression(name: name)
    return try Array(text.utf8).withUnsafeBytes { try compression.compress($0, file: "x") }
}

@Suite("Reading documents")
struct DocumentReaderTests {
    @Test("A text file is one document, its lines, or the parts between separators")
    func splitting() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("one\r\ntwo\n\nthree\n", "a.txt")
        #expect(try documents([path]).map(\.text) == ["one\r\ntwo\n\nthree\n"])
        #expect(try documents([path]).map(\.id) == ["a.txt"])
        let lines = try documents([path], ReadingOptions(splitting: .line, emptyDocuments: .skip))
        #expect(lines.map(\.text) == ["one", "two", "three"])
        #expect(lines.map(\.id) == ["a.txt@0", "a.txt@5", "a.txt@10"])
        let kept = try documents([path], ReadingOptions(splitting: .line, emptyDocuments: .keep))
        #expect(kept.map(\.text) == ["one", "two", "", "three"])
        let parts = try documents([path], ReadingOptions(splitting: .separator("\n\n")))
        #expect(parts.map(\.text) == ["one\r\ntwo", "three\n"])
    }

    @Test("JSON Lines give text and id from their fields")
    func jsonLines() throws {
        let folder = try TemporaryFolder()
        let text = """
            {"id": "x", "text": "a\\n\\u00e9", "n": [1, {"text": 2}]}
            {"text": "b", "id": 17}
            \t
            {"meta": {"text": "no"}, "text": "c"}
            """
        let path = try folder.write(text, "a.jsonl")
        let found = try documents([path], ReadingOptions(emptyDocuments: .skip))
        #expect(found.map(\.text) == ["a\né", "b", "c"])
        #expect(found.map(\.id) == ["x", "17", "a.jsonl@82"])
        let body = try folder.write("{\"body\": \"q\", \"key\": \"k\"}\n", "b.jsonl")
        let named = try documents([body], ReadingOptions(textField: "body", idField: "key"))
        #expect(named == [Document(id: "k", text: "q")])
    }

    @Test("Compressed files are read as what they hold", arguments: [("gz", "gz"), ("zstd", "zst"), ("zstd", "zstd")])
    func compressed(name: String, suffix: String) throws {
        let folder = try TemporaryFolder()
        let lines = (0..<200_000).map { "{\"text\": \"line \($0)\"}\n" }.joined()
        // Two frames in one file are one text.
        let bytes = try packed(String(lines.prefix(1_000_003)), name) + packed(String(lines.dropFirst(1_000_003)), name)
        let path = try folder.write(bytes, "a.jsonl.\(suffix)")
        let found = try documents([path])
        #expect(found.count == 200_000)
        #expect(found.last?.text == "line 199999")
        try folder.write(Array(bytes.dropLast(10)), "a.jsonl.\(suffix)")
        let error = #expect(throws: CorpusError.self) { try documents([path]) }
        #expect(error?.description.contains("a.jsonl.\(suffix): ") == true)
    }

    @Test("Folders, patterns and repeated names give each file once, in the order of names")
    func inputs() throws {
        let folder = try TemporaryFolder()
        for name in ["b.txt", "a/z.txt", "a/y.jsonl", "a/.hidden"] {
            try FilePath.makeFolder(FilePath.folder(of: folder.file(name)))
            try folder.write("x", name)
        }
        let names = { (paths: [String]) in
            try CorpusInput.find(paths).map { String($0.path.dropFirst(folder.path.count + 1)) }
        }
        #expect(try names([folder.path]) == ["a/y.jsonl", "a/z.txt", "b.txt"])
        #expect(
            try names([folder.file("a/*.txt"), folder.file("b.txt"), folder.file("*.txt")]) == ["a/z.txt", "b.txt"]
        )
        #expect(try CorpusInput.find([folder.file("a/y.jsonl")])[0].format == .jsonLines)
        #expect(try CorpusInput.find([folder.file("a/y.jsonl")], format: .text)[0].format == .text)
        for bad in ["none", "*.none"] {
            let error = #expect(throws: CorpusError.self) { try names([folder.file(bad)]) }
            #expect(error?.kind == .missing)
        }
        for (name, format) in [("c.parquet", CorpusInput.Format.text), ("c.parquet.gz", nil), ("c.arrow", nil)] {
            try folder.write("x", name)
            #expect(throws: CorpusError.self) { try CorpusInput.find([folder.file(name)], format: format) }
        }
    }

    @Test("Data sets of text are read like files")
    func dataset() throws {
        let folder = try TemporaryFolder()
        let writer = try MDSWriter(
            folder: folder.file("x"),
            columns: [("text", .string), ("id", .string)],
            options: MDSWriter.Options(compression: .zstandard, sizeLimit: 400)
        )
        for index in 0..<50 { try writer.append(["text": .string("text \(index)"), "id": .string("\(index)")]) }
        try writer.finish()
        let expected = (0..<50).map { Document(id: "\($0)", text: "text \($0)") }
        #expect(try documents([folder.file("x")]) == expected)
        let parts = try (0..<7).flatMap { try documents([folder.file("x")], part: JobPart(index: $0, count: 7)) }
        #expect(parts == expected)
        let error = #expect(throws: CorpusError.self) {
            try documents([folder.file("x")], ReadingOptions(textField: "body"))
        }
        #expect(error?.description.contains("sample 0 column \"body\" is not there") == true)
    }

    @Test(
        "Parts of a job read every document once and in order",
        arguments: [ReadingOptions.Splitting.line, .separator("\n\n"), .separator("aa"), .file],
        [1, 2, 3, 5, 64]
    )
    func parts(splitting: ReadingOptions.Splitting, count: Int) throws {
        let folder = try TemporaryFolder()
        var paths: [String] = []
        for file in 0..<4 {
            let text = (0..<30).map { String(repeating: "a", count: ($0 * 7 + file) % 5) + "\n\($0)\n\n" }.joined()
            paths.append(
                try folder.write(
                    file == 2 ? packed(text, "gz") : Array(text.utf8),
                    "\(file).txt\(file == 2 ? ".gz" : "")"
                )
            )
        }
        paths.append(try folder.write("", "empty.txt"))
        paths.append(try folder.write("{\"text\": \"j1\"}\n{\"text\": \"j2\"}", "j.jsonl"))
        let options = ReadingOptions(splitting: splitting, emptyDocuments: .keep)
        let whole = try documents(paths, options)
        let parts = try (0..<count).flatMap { try documents(paths, options, part: JobPart(index: $0, count: count)) }
        #expect(parts == whole)
        #expect(Set(whole.map(\.id)).count == whole.count)
    }

    @Test("Parts that do not exist are refused")
    func refusedParts() {
        for (index, count) in [(0, 0), (1, 1), (-1, 2)] {
            #expect(throws: CorpusError.self) { try JobPart(index: index, count: count) }
        }
    }
}

@Suite("Documents that are not as expected")
struct MalformedDocumentTests {
    private func message(_ text: [UInt8], _ name: String, _ options: ReadingOptions = ReadingOptions()) throws -> String
    {
        let folder = try TemporaryFolder()
        let path = try folder.write(text, name)
        let error = #expect(throws: CorpusError.self) { try documents([path], options) }
        return error?.description ?? ""
    }

    private func message(_ text: String, _ name: String, _ options: ReadingOptions = ReadingOptions()) throws -> String
    {
        try message(Array(text.utf8), name, options)
    }

    private let good = "{\"text\": \"x\"}\n"

    @Test("Invalid UTF-8 is named with its line, or replaced")
    func invalidText() throws {
        let text = Array("{\"text\": \"x\"}\n{\"text\": \"".utf8) + [0xFF] + Array("\"}\n".utf8)
        #expect(try message(text, "a.jsonl").contains("a.jsonl: line 2"))
        let lines = Array("x\ny\n".utf8) + [0xC3] + Array("\nz".utf8)
        #expect(try message(lines, "a.txt", ReadingOptions(splitting: .line)).contains("line 3 is not UTF-8"))
        let folder = try TemporaryFolder()
        let path = try folder.write(text, "a.jsonl")
        let replaced = try documents([path], ReadingOptions(invalidText: .replace))
        #expect(replaced.map(\.text) == ["x", "\u{FFFD}"])
        // The second half of the file alone still counts its lines from the front.
        let options = ReadingOptions()
        var reader = DocumentReader(
            try CorpusInput.find([path]),
            options: options,
            part: try JobPart(index: 1, count: 3)
        )
        let batch = try #require(try reader.next())
        let error = #expect(throws: CorpusError.self) { try batch.documents() }
        #expect(error?.description.contains("line 2") == true)
    }

    @Test("Lines without the field, or with another kind in it, are named with what they have")
    func mixedSchemas() throws {
        #expect(
            try message(good + "{\"body\": \"x\"}", "a.jsonl").contains(
                "line 2 has no field \"text\"; its fields: \"body\""
            )
        )
        #expect(try message(good + good + "{\"text\": 7}", "a.jsonl").contains("line 3 has a number in \"text\""))
        #expect(try message(good + "[1]", "a.jsonl").contains("line 2 is a JSON array"))
        #expect(try message(good + "{\"text\": \"x\"", "a.jsonl").contains("line 2 is not JSON"))
        #expect(try message(good + "{\"text\": \"x\"} y", "a.jsonl").contains("line 2 is not JSON"))
    }

    @Test("Empty documents are named with their place")
    func emptyDocuments() throws {
        #expect(
            try message("x\n\ny", "a.txt", ReadingOptions(splitting: .line)).contains("line 2 is an empty document")
        )
        #expect(
            try message("x||||y", "a.txt", ReadingOptions(splitting: .separator("||"))).contains("byte 3 is an empty")
        )
        #expect(try message("{\"text\": \"\"}", "a.jsonl").contains("line 1 is an empty document"))
    }

    @Test("A document beyond the limit is refused before it fills the memory")
    func longDocument() throws {
        let text = String(repeating: "word ", count: 1_000_000)
        let options = ReadingOptions(longestDocumentBytes: 1 << 20)
        #expect(try message(text, "a.txt", options).contains("begins a document of more than 1048576 bytes"))
    }
}

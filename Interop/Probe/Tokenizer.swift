// Runs the tokenizer for the checks in Interop/ and Benchmarks/, which compare it with the original library.
//
//   encode FOLDER INPUT OUTPUT [special] [pairs]   ids, type ids, offsets and decodings of length-prefixed texts
//   tokens FOLDER INPUT                            one JSON line of tokens per length-prefixed text
//   time FOLDER INPUT THREADS                      seconds for ids, encodings, batches
//   stream-decode FOLDER INPUT                     whether tokens decode one by one as all at once
//   cpu-time FOLDER INPUT                          processor seconds for ids and for encodings on one thread
//   load FOLDER                                    milliseconds to load
//   stream FOLDER FILE THREADS                     tokens and a hash of a whole text file
//   train FOLDER SIZE PREFIX BYTES THREADS FILE…   trains a tokenizer, saves it to a folder
//   save FOLDER OUTPUT                             loads and saves a tokenizer
//   json INPUT                                     reads JSON and writes it back

import EttinJSON
import EttinTokenizer

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

private struct UsageError: Error {}

private func readAll(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw UsageError() }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 20)
    while true {
        let count = fread(&block, 1, block.count, file)
        if count == 0 { return bytes }
        bytes.append(contentsOf: block[..<count])
    }
}

private func writeAll(_ path: String, _ bytes: [UInt8]) throws {
    guard let file = fopen(path, "wb") else { throw UsageError() }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw UsageError() }
}

private func records(_ path: String) throws -> [[UInt8]] {
    let bytes = try readAll(path)
    var records: [[UInt8]] = []
    var position = 0
    while position + 4 <= bytes.count {
        let length = (0..<4).reduce(0) { $0 | Int(bytes[position + $1]) << ($1 * 8) }
        position += 4
        guard position + length <= bytes.count else { throw UsageError() }
        records.append(Array(bytes[position..<position + length]))
        position += length
    }
    return records
}

/// Processor time, which other programs on the machine do not lengthen.
private func processorSeconds(_ body: () -> Void) -> Double {
    let start = clock()
    body()
    return Double(clock() - start) / Double(CLOCKS_PER_SEC)
}

private func append(_ numbers: [Int32], to output: inout [UInt8]) {
    numbers.withUnsafeBytes { output.append(contentsOf: $0) }
}

private func append(text: String, to output: inout [UInt8]) {
    append([Int32(text.utf8.count)], to: &output)
    output.append(contentsOf: text.utf8)
}

private func append(_ encoding: Encoding, _ tokenizer: Tokenizer, to output: inout [UInt8]) {
    append([Int32(encoding.count)], to: &output)
    append(encoding.ids, to: &output)
    append(encoding.typeIDs, to: &output)
    append(encoding.offsets.map { Int32($0.lowerBound) }, to: &output)
    append(encoding.offsets.map { Int32($0.upperBound) }, to: &output)
    append(text: tokenizer.decode(encoding.ids), to: &output)
    append(text: tokenizer.decode(encoding.ids, skipSpecialTokens: true), to: &output)
}

func runTokenizer(_ arguments: [String]) throws {
    guard arguments.count >= 2 else { throw UsageError() }
    let folder = arguments[1]
    switch arguments[0] {
    case "encode":
        let tokenizer = try Tokenizer(folder: folder)
        let texts = try records(arguments[2])
        let special = arguments.contains("special")
        var output: [UInt8] = []
        if arguments.contains("pairs") {
            for index in stride(from: 0, to: texts.count - 1, by: 2) {
                let encoding = tokenizer.encode(
                    utf8: texts[index],
                    pair: texts[index + 1],
                    addSpecialTokens: special
                )
                append(encoding, tokenizer, to: &output)
            }
        } else {
            for text in texts {
                let encoding = tokenizer.encode(utf8: text, addSpecialTokens: special)
                append(encoding, tokenizer, to: &output)
                let ids = tokenizer.encodeIDs(String(decoding: text, as: UTF8.self), addSpecialTokens: special)
                guard ids == encoding.ids else { throw UsageError() }
            }
        }
        try writeAll(arguments[3], output)
    case "tokens":
        let tokenizer = try Tokenizer(folder: folder)
        for text in try records(arguments[2]) {
            let encoding = tokenizer.encode(utf8: text)
            print(JSONValue.array(encoding.tokens.map { .string($0) }).text())
        }
    case "stream-decode":
        let tokenizer = try Tokenizer(folder: folder)
        for skips in [false, true] {
            for text in try records(arguments[2]) {
                let ids = tokenizer.encode(utf8: text).ids
                var decoder = TokenStreamDecoder(tokenizer, skipSpecialTokens: skips)
                let pieces = ids.map { decoder.append($0) }.joined() + decoder.finish()
                guard pieces.utf8.elementsEqual(tokenizer.decode(ids, skipSpecialTokens: skips).utf8) else {
                    print("not equal: \(String(decoding: text, as: UTF8.self))")
                    return
                }
            }
        }
        print("equal")
    case "time":
        let tokenizer = try Tokenizer(folder: folder)
        let texts = try records(arguments[2]).map { String(decoding: $0, as: UTF8.self) }
        let threads = Int(arguments[3]) ?? 1
        var report = JSONObject()
        report["ids"] = .init(seconds { for text in texts { _ = tokenizer.encodeIDs(text).count } })
        report["encode"] = .init(seconds { for text in texts { _ = tokenizer.encode(text).count } })
        report["batch_ids"] = .init(seconds { _ = tokenizer.encodeIDsBatch(texts, threads: threads).count })
        report["batch"] = .init(seconds { _ = tokenizer.encodeBatch(texts, threads: threads).count })
        print(JSONValue.object(report).text())
    case "cpu-time":
        let tokenizer = try Tokenizer(folder: folder)
        let texts = try records(arguments[2]).map { String(decoding: $0, as: UTF8.self) }
        var report = JSONObject()
        report["ids"] = .init(processorSeconds { for text in texts { _ = tokenizer.encodeIDs(text).count } })
        report["encode"] = .init(processorSeconds { for text in texts { _ = tokenizer.encode(text).count } })
        print(JSONValue.object(report).text())
    case "load":
        var tokenizer: Tokenizer?
        let time = try seconds { tokenizer = try Tokenizer(folder: folder) }
        let first = seconds { _ = tokenizer?.encode("Hello world") }
        print(JSONValue.object(["load_ms": .init(time * 1000), "first_encode_ms": .init(first * 1000)]).text())
    case "stream":
        let tokenizer = try Tokenizer(folder: folder)
        var count = 0
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        let blockBytes = arguments.count > 4 ? Int(arguments[4]) ?? 1 << 20 : 1 << 20
        let time = try seconds {
            try tokenizer.encodeFile(arguments[2], blockBytes: blockBytes, threads: Int(arguments[3]) ?? 1) { ids in
                count += ids.count
                for id in ids { hash = (hash ^ UInt64(UInt32(bitPattern: id))) &* 0x100_0000_01B3 }
            }
        }
        let report: JSONValue = [
            "tokens": .init(count), "hash": .string(String(hash, radix: 16)), "seconds": .init(time),
        ]
        print(report.text())
    case "train":
        guard arguments.count >= 7 else { throw UsageError() }
        var trainer = BPETrainer(vocabularySize: Int(arguments[2]) ?? 0)
        trainer.addsPrefixSpace = arguments[3] == "1"
        trainer.includesAllBytes = arguments[4] == "1"
        trainer.specialTokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].map { AddedToken($0, isSpecial: true) }
        trainer.roles = ["cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]"]
        var tokenizer: Tokenizer?
        let time = try seconds {
            tokenizer = try trainer.train(files: Array(arguments[6...]), threads: Int(arguments[5]) ?? 1)
        }
        try tokenizer?.save(to: folder)
        print(JSONValue.object(["seconds": .init(time)]).text())
    case "save":
        try Tokenizer(folder: folder).save(to: arguments[2])
    case "json":
        let options = JSONParsingOptions(allowsNonFiniteNumbers: true)
        let value = try JSONValue(parsing: try readAll(arguments[1]), options: options)
        print(value.text(JSONWritingOptions(layout: .singleLine, escapesNonASCII: true, writesNonFiniteNumbers: true)))
    default: throw UsageError()
    }
}

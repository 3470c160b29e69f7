// Measures tables and samplers: `ettin-probe tables measure train.jsonl`.

import EttinFineTuning
import EttinJSON
import EttinTables

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Prints, step by step, seconds and the largest memory beyond maps of files.
func measureTable(_ path: String) throws {
    var peak = 0
    func report(_ step: String, _ seconds: Double) {
        peak = max(peak, anonymousBytes())
        let line: JSONValue = [
            "step": .string(step), "seconds": JSONValue((seconds * 1000).rounded() / 1000),
            "peak_mib_beyond_maps": JSONValue(peak >> 20),
        ]
        send(line)
    }
    report("start", 0)
    var table: TableView?
    report("open", try seconds { table = try TableOpening().open([path]) })
    guard let table else { return }
    send(["rows": JSONValue(table.rowCount), "columns": .array(table.columnNames.map { .string($0) })])
    let columns = Array(table.columnNames.indices)
    var byteCount = 0
    let reading = try seconds {
        for row in 0..<table.rowCount {
            for case .text(let text) in try table.values(row: row, columns: columns) { byteCount += text.utf8.count }
            if row.isMultiple(of: 50_000) { peak = max(peak, anonymousBytes()) }
        }
    }
    report("read all rows", reading)
    var split: (train: TableView, test: TableView)?
    let splitting = try seconds {
        split = try table.trainTestSplit(testSize: .count(max(1, table.rowCount / 1000)), seed: 12)
    }
    report("split", splitting)
    guard let train = split?.train else { return }
    let training = try TrainingColumns(train, emptyTexts: .keep)
    for sampler in [BatchSampler.batchSampler, .noDuplicates] {
        var options = BatchSampling.Options(batchSize: 512)
        options.sampler = sampler
        var sampling: BatchSampling?
        let preparing = try seconds { sampling = try BatchSampling([training], isSingle: true, options: options) }
        report("prepare \(sampler.rawValue)", preparing)
        var count = 0
        report("draw \(sampler.rawValue)", seconds { count = sampling?.batches(epoch: 0).count ?? 0 })
        send(["batches": JSONValue(count), "text_bytes": JSONValue(byteCount)])
    }
    let rows = Array(0..<min(512, train.rowCount))
    report("read a batch", try seconds { _ = try training.texts(ofRows: rows) })
}

/// The memory of the process without maps of files, where the system says it.
private func anonymousBytes() -> Int {
    guard let file = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, 256, file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard text.hasPrefix("RssAnon:") else { continue }
        return (text.split { !$0.isNumber }.first.flatMap { Int($0) } ?? 0) << 10
    }
    return 0
}

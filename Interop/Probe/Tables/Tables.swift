// Reads tables and draws batches, for the comparisons with `datasets`, pandas and sentence-transformers in
// Interop/test_tables.py and test_samplers.py.

import EttinCorpus
import EttinFineTuning
import EttinJSON
import EttinTables

func runTables(_ arguments: [String]) throws {
    switch (arguments.first, arguments.count) {
    case ("rows", 2): try listTable(JSONValue(parsing: arguments[1]))
    case ("batches", 2): try listBatches(JSONValue(parsing: arguments[1]))
    case ("permutation", 3): try hashPermutation(count: arguments[1], seed: arguments[2])
    case ("measure", 2): try measureTable(arguments[1])
    default:
        endWithUsage(
            "usage: ettin-probe tables rows OPTIONS | batches OPTIONS | permutation COUNT SEED | measure DATA"
        )
    }
}

private func openedTable(_ options: JSONValue) throws -> TableView {
    let reading = TableOptions(
        format: options["format"]?.stringValue.flatMap { TableOptions.Format(rawValue: $0) },
        separator: options["sep"]?.stringValue?.first,
        quoting: options["quoting"]?.stringValue == "none" ? .none : .minimal,
        columnNames: options["names"]?.arrayValue?.compactMap(\.stringValue),
        readsMissingValues: options["keep_default_na"]?.boolValue ?? true
    )
    var table = try TableOpening(options: reading).open(options["paths"]?.arrayValue?.compactMap(\.stringValue) ?? [])
    if let names = options["columns"]?.arrayValue {
        table = try table.keeping(columns: names.compactMap(\.stringValue))
    }
    if let split = options["split"] {
        let size: TableView.TestSize =
            if let count = split["test_size"]?.intValue { .count(count) } else {
                .fraction(split["test_size"]?.doubleValue ?? 0)
            }
        let parts = try table.trainTestSplit(testSize: size, seed: UInt64(split["seed"]?.intValue ?? 0))
        table = split["part"]?.stringValue == "test" ? parts.test : parts.train
    }
    return table
}

/// Prints the columns of a table with their kinds and classes, then its rows.
private func listTable(_ options: JSONValue) throws {
    let table = try openedTable(options)
    let writing = JSONWritingOptions(writesNonFiniteNumbers: true)
    let columns = Array(table.columnNames.indices)
    let heading: JSONValue = [
        "columns": .array(table.columnNames.map { .string($0) }),
        "kinds": .array(columns.map { .string(table.kind(ofColumn: $0).rawValue) }),
        "classes": .array(
            columns.map { column in
                table.classNames(ofColumn: column).map { .array($0.map { .string($0) }) } ?? .null
            }
        ),
    ]
    print(heading.text(writing))
    for row in 0..<table.rowCount {
        print(JSONValue.array(try table.values(row: row, columns: columns).map(\.json)).text(writing))
    }
}

extension TableValue {
    fileprivate var json: JSONValue {
        switch self {
        case .null: .null
        case .text(let text): .string(text)
        case .integer(let number): JSONValue(number)
        case .real(let number): JSONValue(number)
        case .boolean(let flag): .bool(flag)
        case .list(let values): .array(values.map(\.json))
        }
    }
}

/// Prints the batches of epochs of data sets.
private func listBatches(_ options: JSONValue) throws {
    let tables = try (options["datasets"]?.arrayValue ?? []).map { path in
        try TrainingColumns(TableOpening().open([path.stringValue ?? ""]), emptyTexts: .keep)
    }
    var sampling = BatchSampling.Options(batchSize: options["batch_size"]?.intValue ?? 8)
    sampling.sampler = BatchSampler(rawValue: options["sampler"]?.stringValue ?? "") ?? .batchSampler
    sampling.multiDatasetSampler =
        MultiDatasetBatchSampler(rawValue: options["multi"]?.stringValue ?? "") ?? .proportional
    sampling.dropsLast = options["drop_last"]?.boolValue ?? false
    sampling.seed = UInt64(options["seed"]?.intValue ?? 42)
    sampling.dataSeed = options["data_seed"]?.intValue.map { UInt64($0) }
    let batches = try BatchSampling(
        tables,
        isSingle: options["single"]?.boolValue ?? (tables.count == 1),
        options: sampling
    )
    let isWhole = options["all"]?.boolValue ?? true
    let epochs = (0..<(options["epochs"]?.intValue ?? 1)).map { epoch -> JSONValue in
        let drawn = isWhole ? batches.allBatches(epoch: epoch) : batches.batches(epoch: epoch)
        return .array(
            drawn.map { [JSONValue($0.dataset), .array($0.rows.map { JSONValue($0) })] }
        )
    }
    let result: JSONValue = ["nominal": JSONValue(batches.nominalBatchCount), "epochs": .array(epochs)]
    print(result)
}

/// Prints the xxHash64 of a permutation of `torch.randperm` in 32-bit numbers.
private func hashPermutation(count: String, seed: String) throws {
    guard let count = Int(count), let seed = UInt64(seed) else { throw ProbeError("COUNT and SEED are numbers") }
    var generator = TorchGenerator(seed: seed)
    let order = generator.permutation(count, as: Int32.self)
    print(order.withUnsafeBytes { XXHash.hash64($0) })
}

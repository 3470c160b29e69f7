import EttinFiles

/// Reads the records of several inputs, one after the other, in constant memory.
///
/// A part of a job gets the documents that begin in its share of the bytes of all inputs, so that the parts together
/// read every document once and, put in order, read them in the order of the whole. A compressed file belongs to one
/// part as a whole; an MDS data set is divided by its samples and a Parquet file by its rows.
package struct DocumentReader {
    /// A batch ends behind the record that reaches one of these.
    private static let batchBytes = 1 << 20
    private static let batchRecords = 4096

    private let options: ReadingOptions
    private let part: JobPart
    private var rest: [(input: CorpusInput, start: Int)]
    private var current: Current?
    /// The bytes of this part, counted over all inputs that are divided by bytes.
    private let share: Range<Int>
    /// About the bytes on the disk that this part reads, with those of data sets decompressed.
    package let workTotal: Int
    /// The bytes of inputs before the current one, and of that.
    private var passedWork = 0
    private var currentWork = 0

    private enum Current {
        case file(CorpusInput, RecordSplitter, start: Int, line: Int?)
        case dataset(CorpusInput, MDSDataset, Range<Int>)
        case table(CorpusInput, ParquetDocuments)
    }

    /// Prepares reading; nothing is opened yet.
    ///
    /// - Parameters:
    ///   - inputs: The inputs in order.
    ///   - options: How documents are found.
    ///   - part: The part of the job to read.
    package init(_ inputs: [CorpusInput], options: ReadingOptions = ReadingOptions(), part: JobPart = .whole) {
        self.options = options
        self.part = part
        var starts: [(CorpusInput, Int)] = []
        var total = 0
        for input in inputs {
            starts.append((input, total))
            if !input.isDividedByRecords { total += input.byteCount }
        }
        let share = part.range(of: total)
        self.share = share
        rest = starts.reversed()
        workTotal = starts.reduce(0) { $0 + Self.work($1.0, $1.1, share, part) }
    }

    /// The bytes of an input that fall to a part.
    private static func work(_ input: CorpusInput, _ start: Int, _ share: Range<Int>, _ part: JobPart) -> Int {
        if input.isDividedByRecords { return part.range(of: input.byteCount).count }
        return (start..<start + input.byteCount).clamped(to: share).count
    }

    /// How much of `workTotal` was read.
    package var workDone: Int {
        switch current {
        case nil: return passedWork + currentWork
        case .file(_, let splitter, let start, _)?:
            let read = splitter.filePosition - max(0, share.lowerBound - start)
            return passedWork + min(currentWork, max(0, read))
        case .dataset(_, let dataset, let range)?:
            return passedWork + currentWork - workLeft(range.count, of: part.range(of: dataset.sampleCount).count)
        case .table(_, let documents)?:
            return passedWork + currentWork - workLeft(documents.rowsLeft, of: documents.range.count)
        }
    }

    /// The share of the current input's bytes that falls to the records that are left.
    private func workLeft(_ left: Int, of all: Int) -> Int {
        Int(Double(left) / Double(max(1, all)) * Double(currentWork))
    }

    /// The next records.
    ///
    /// - Returns: Some consecutive records of one input; nil when all are read.
    /// - Throws: `CorpusError` when an input cannot be read or a document is too long.
    package mutating func next() throws -> DocumentBatch? {
        while true {
            switch current {
            case nil:
                guard let (input, start) = rest.popLast() else { return nil }
                passedWork += currentWork
                currentWork = Self.work(input, start, share, part)
                current = try opened(input, start)
            case .dataset(let input, let dataset, let range)?:
                guard !range.isEmpty else {
                    current = nil
                    continue
                }
                let end = min(range.upperBound, range.lowerBound + Self.batchRecords)
                current = .dataset(input, dataset, end..<range.upperBound)
                return DocumentBatch(
                    input: input,
                    options: options,
                    content: .samples(dataset, range.lowerBound..<end),
                    offsets: [],
                    firstLine: nil
                )
            case .table(let input, var documents)?:
                current = nil
                let first = documents.row
                let rows = try documents.next(maximumBytes: Self.batchBytes, maximumRows: Self.batchRecords)
                guard !rows.isEmpty else { continue }
                current = .table(input, documents)
                return DocumentBatch(
                    input: input,
                    options: options,
                    content: .rows(rows, first: first),
                    offsets: [],
                    firstLine: nil
                )
            case .file(let input, var splitter, let start, let line)?:
                // The splitter's buffer has one owner while it is changed.
                current = nil
                guard let batch = try batch(input, &splitter, start, line) else { continue }
                current = .file(input, splitter, start: start, line: line.map { $0 + batch.passed + batch.batch.count })
                if batch.batch.count > 0 { return batch.batch }
                current = nil
            }
        }
    }

    // MARK: - Inputs

    private func opened(_ input: CorpusInput, _ start: Int) throws -> Current? {
        if input.format == .mds {
            let dataset = try MDSDataset(folder: input.path, decompression: .intoMemory, openShardLimit: 4)
            return .dataset(input, dataset, part.range(of: dataset.sampleCount))
        }
        if input.format == .parquet { return .table(input, try ParquetDocuments(input, options, part: part)) }
        // An empty file has no documents, not an empty one.
        guard input.byteCount > 0, start < share.upperBound, start + input.byteCount > share.lowerBound else {
            return nil
        }
        let isDivisible = input.packing == .none && !(input.format == .text && options.splitting == .file)
        guard isDivisible || share.contains(start) else { return nil }
        let isLines = input.format == .jsonLines || options.splitting == .line
        // Lines can be found from anywhere; other separators only from the front, because they may overlap.
        var offset = 0
        if isDivisible, isLines, start < share.lowerBound { offset = share.lowerBound - start - 1 }
        var splitter = RecordSplitter(
            try ByteStream(input, startingAt: offset),
            path: input.path,
            separator: separator(input),
            longestRecord: options.longestDocumentBytes,
            offset: offset
        )
        // The line that holds the byte in front of the share begins before it.
        if offset > 0 { _ = try splitter.next { _ in } }
        return .file(input, splitter, start: isDivisible ? start : share.lowerBound, line: offset > 0 ? nil : 1)
    }

    private func separator(_ input: CorpusInput) -> [UInt8] {
        if input.format == .jsonLines { return [0x0A] }
        switch options.splitting {
        case .file: return []
        case .line: return [0x0A]
        case .separator(let text): return Array(text.utf8)
        }
    }

    /// Collects records up to the size of a batch; nil when the file or the share has ended.
    private func batch(
        _ input: CorpusInput,
        _ splitter: inout RecordSplitter,
        _ start: Int,
        _ line: Int?
    ) throws -> (batch: DocumentBatch, passed: Int)? {
        var bytes: [UInt8] = []
        var ranges: [Range<Int>] = []
        var offsets: [Int] = []
        var passed = 0
        let isWhole = input.packing != .none || input.format == .text && options.splitting == .file
        while bytes.count < Self.batchBytes, ranges.count < Self.batchRecords {
            let offset = splitter.offset
            guard isWhole || start + offset < share.upperBound else { break }
            let isMine = isWhole || start + offset >= share.lowerBound
            let range = try splitter.next { record in
                guard isMine else { return 0..<0 }
                bytes.append(contentsOf: record)
                return bytes.count - record.count..<bytes.count
            }
            guard let range else { break }
            guard isMine else {
                passed += 1
                continue
            }
            ranges.append(range)
            offsets.append(offset)
        }
        guard !ranges.isEmpty else { return nil }
        let batch = DocumentBatch(
            input: input,
            options: options,
            content: .bytes(bytes, ranges),
            offsets: offsets,
            firstLine: line.map { $0 + passed }
        )
        return (batch, passed)
    }
}

public import EttinJSON
public import EttinTokenizer

/// Checks an order data set and writes it anew: rows of `input_ids` and `step` from JSON Lines, MDS or Parquet.
///
/// A part of the job gets the rows of a range of steps, so that the parts, put in order, hold the rows of the whole. It
/// reads the rows of the steps before and passes over them.
public struct OrderImportStage: Sendable {
    /// Folders and files in the order of their steps.
    package var inputs: [String]
    /// The tokenizer whose ids are allowed; nil for any ids.
    package var tokenizer: Tokenizer?
    /// Where the tokenizer comes from, for messages.
    package var tokenizerName = "the tokenizer"
    /// The first step to take; nil for the first there is.
    package var firstStep: Int?
    /// The steps to take, counted by their numbers; nil for all.
    package var steps: Int?

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - inputs: Folders and files in the order of their steps.
    ///   - tokenizer: The tokenizer whose ids are allowed; shards store two bytes per id when its vocabulary allows it.
    ///   - firstStep: The first step to take; nil for the first there is.
    ///   - steps: The steps to take, counted by their numbers; nil for all.
    public init(inputs: [String], tokenizer: Tokenizer? = nil, firstStep: Int? = nil, steps: Int? = nil) {
        self.inputs = inputs
        self.tokenizer = tokenizer
        self.firstStep = firstStep
        self.steps = steps
    }

    private var name: String { inputs.count == 1 ? inputs[0] : "\(inputs.count) orders" }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output, part and writing. A name that ends in `.jsonl` gives JSON Lines, any other MDS shards;
    ///   the size limit is then how many bytes of lines a stopped run may have to write again.
    /// - Returns: The manifest: what was read, with which parameters, and the counts.
    /// - Throws: `CorpusError` when an input is missing or malformed, steps fall, the first step is left out, an id is
    ///   unknown to the tokenizer, an input was made with another one, or the output cannot be written.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        if let steps, steps < 1 {
            throw CorpusError(.invalidOption, file: "steps", found: "is \(steps)", expected: "1 or more")
        }
        if let firstStep, firstStep < 0 {
            throw CorpusError(.invalidOption, file: "first step", found: "is \(firstStep)", expected: "0 or more")
        }
        let found = try OrderInput.find(inputs)
        let header = OrderOutput.header(
            stage: "import-order",
            parameters: [
                "tokenizer": tokenizer.map { TokenizerFingerprint($0).json } ?? .null,
                "first_step": firstStep.map { JSONValue($0) } ?? .null,
                "steps": steps.map { JSONValue($0) } ?? .null,
            ],
            inputs: try found.map { try InputFingerprint.of($0) },
            options: options
        )
        if let manifest = try OrderOutput.finishedManifest(options.output, header: header) { return manifest }
        let recorded = try checkedTokenizer()
        let all = try stepRange(found)
        let part = options.part.range(of: all.count)
        let range = all.lowerBound + part.lowerBound..<all.lowerBound + part.upperBound
        let output = try OrderOutput(
            header: header,
            element: tokenizer.map { StageHeader.element(for: $0) } ?? .uint32,
            stepCount: range.count,
            options: options
        )
        // What lies behind the last step that there should be is read too, because steps may not fall there either.
        let isLast = steps == nil && options.part.index == options.part.count - 1
        try copy(found, isLast ? range.lowerBound..<Int.max : range, first: all.lowerBound, to: output)
        return try output.finish(tokenizer: tokenizer == nil ? recorded : nil)
    }

    /// The tokenizer that the inputs were made with, where their manifests say it.
    private func checkedTokenizer() throws -> TokenizerFingerprint? {
        if let tokenizer {
            for input in inputs {
                _ = try DatasetTokenizer.check(input, against: tokenizer, from: tokenizerName)
            }
        }
        return try DatasetTokenizer.common(of: inputs)?.fingerprint
    }

    /// From the first step to take to behind the last one; empty when there are no rows.
    private func stepRange(_ found: [CorpusInput]) throws -> Range<Int> {
        var order = try ExplicitOrder.opened(found, name: name)
        guard let row = try order.nextRow(), let last = try OrderInput.lastStep(found) else {
            if let firstStep { throw order.leftOut(firstStep, next: nil) }
            return 0..<0
        }
        try order.checkNumber(last)
        guard last >= row.step else { throw order.falling(last, after: row.step) }
        let first = firstStep ?? row.step
        guard first <= last else { throw order.leftOut(first, next: nil) }
        guard first >= row.step else { throw order.leftOut(first, next: row.step) }
        let (end, overflows) = first.addingReportingOverflow(steps ?? .max)
        return first..<(overflows ? last + 1 : min(end, last + 1))
    }

    /// Copies the rows of the steps that are not yet written.
    private func copy(_ found: [CorpusInput], _ range: Range<Int>, first: Int, to output: OrderOutput) throws {
        guard !range.isEmpty else { return }
        var order = try ExplicitOrder.opened(found, name: name)
        var toSkip = output.counts.rows
        var step: Int?
        var isFirst = true
        while let row = try order.nextRow(), row.step < range.upperBound {
            if isFirst, row.step >= first {
                guard row.step == first else { throw order.leftOut(first, next: row.step) }
                isFirst = false
            }
            guard row.step >= range.lowerBound else { continue }
            guard toSkip == 0 else {
                toSkip -= 1
                if toSkip == 0, output.counts.rowsOfStep > 0 { step = row.step }
                continue
            }
            if let step, step != row.step { output.endStep() }
            step = row.step
            try check(row)
            try output.append(row)
        }
        if step != nil { output.endStep() }
    }

    private func check(_ row: OrderRow) throws {
        guard let size = tokenizer?.vocabularySize, let unknown = row.inputIDs.first(where: { Int($0) >= size }) else {
            return
        }
        throw CorpusError(
            .malformed,
            file: inputs.joined(separator: ", "),
            item: "step \(row.step)",
            found: "holds the id \(unknown)",
            expected: "ids from 0 to \(size - 1), the tokenizer's range"
        )
    }
}

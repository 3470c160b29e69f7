import EttinFiles
import EttinJSON

/// What a stage writes an order to: JSON Lines under a name that ends in `.jsonl`, MDS shards under any other.
///
/// It counts what is written, and a killed run resumes where its counts say.
package final class OrderOutput {
    /// What was written, earlier runs included; exactly what a continued run must know.
    final class Counts {
        fileprivate(set) var steps = 0
        /// Rows of the step after those, already written.
        fileprivate(set) var rowsOfStep = 0
        fileprivate(set) var rows = 0
        fileprivate(set) var tokens = 0

        fileprivate init() {}

        fileprivate var json: JSONValue {
            [
                "steps": JSONValue(steps), "step_rows": JSONValue(rowsOfStep), "rows": JSONValue(rows),
                "tokens": JSONValue(tokens),
            ]
        }

        fileprivate func resume(_ state: ResumedState, _ written: ResumedRows, _ place: String) throws {
            try written.check(state, place)
            steps = try state.count("steps")
            rowsOfStep = try state.count("step_rows")
            (rows, tokens) = (written.rows, written.tokens)
        }
    }

    private enum Target {
        case lines(OrderLinesOutput)
        case shards(StageOutput, MDSElement)
    }

    let counts = Counts()
    private let target: Target
    private let options: StageOptions
    private var progress = JobProgress()
    private var isStarted = false

    package static func isLines(_ path: String) -> Bool { path.hasSuffix(".jsonl") }

    /// What the run of a stage is.
    static func header(
        stage: String,
        parameters: JSONObject,
        inputs: [JSONValue],
        options: StageOptions
    ) -> JSONObject {
        var header = StageHeader.make(stage: stage, parameters: parameters, inputs: inputs, options: options)
        // The size limit says how often lines are synced, which does not show.
        if isLines(options.output) { header["writing"] = ["format": .string(CorpusInput.Format.jsonLines.rawValue)] }
        return header
    }

    /// Where the manifest of a finished run lies.
    package static func manifestPath(_ output: String) -> String {
        isLines(output)
            ? OrderLinesOutput.manifestPath(output) : FilePath.joined(output, StageOutput.manifestName)
    }

    /// The manifest of a finished run of the same job; nil when there is none.
    static func finishedManifest(_ output: String, header: JSONObject) throws -> JSONValue? {
        isLines(output)
            ? try OrderLinesOutput.finishedManifest(output, header: header)
            : try StageOutput.finishedManifest(folder: output, header: header)
    }

    /// Opens a new or unfinished output, for a number of steps.
    init(header: JSONObject, element: MDSElement, stepCount: Int, options: StageOptions) throws {
        self.options = options
        progress.workTotal = stepCount
        let state: () -> JSONValue = { [counts] in counts.json }
        if Self.isLines(options.output) {
            let output = try OrderLinesOutput(
                path: options.output,
                header: header,
                blockLimit: options.writing.sizeLimit,
                state: state
            )
            if let (state, rows) = output.resumed { try counts.resume(state, rows, options.output) }
            target = .lines(output)
        } else {
            let output = try StageOutput(
                folder: options.output,
                header: header,
                schema: MDSSchema([("input_ids", .array(element: element, shape: nil)), ("step", .integer)]),
                options: options.writing,
                state: state
            )
            if let (state, _) = output.resumed {
                var rows = ResumedRows()
                let next = ExplicitOrder.rows(of: output.writtenDataset)
                while let row = try next() { rows.add(step: row.step, tokens: row.inputIDs.count) }
                try counts.resume(state, rows, options.output)
            }
            target = .shards(output, element)
        }
    }

    /// Appends a row of the step that is being written.
    func append(_ row: OrderRow) throws {
        if counts.rows % 256 == 0 || !isStarted { try report() }
        isStarted = true
        switch target {
        case .lines(let output): try output.append(row.line)
        case .shards(let output, let element):
            let ids = try MDSArray(tokenIDs: row.inputIDs, element: element)
            try output.append([.array(ids), .integer(Int64(row.step))])
        }
        counts.rowsOfStep += 1
        counts.rows += 1
        counts.tokens += row.inputIDs.count
    }

    /// Counts the step whose rows were written as complete.
    func endStep() {
        counts.steps += 1
        counts.rowsOfStep = 0
    }

    /// Writes what is left, then the manifest; returns the manifest.
    ///
    /// `tokenizer` is that of the inputs, where it is none of the parameters.
    func finish(tokenizer: TokenizerFingerprint?) throws -> JSONValue {
        try report()
        let results: JSONObject = [
            "steps": JSONValue(counts.steps), "samples": JSONValue(counts.rows), "tokens": JSONValue(counts.tokens),
        ]
        switch target {
        case .lines(let output): return try output.finish(results: results, tokenizer: tokenizer)
        case .shards(let output, _): return try output.finish(files: [], results: results, tokenizer: tokenizer)
        }
    }

    private func report() throws {
        progress.recordCount = counts.rows
        progress.sampleCount = counts.rows
        progress.tokenCount = counts.tokens
        progress.workDone = counts.steps
        try options.progress(progress)
    }
}

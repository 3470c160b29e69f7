/// A sample of an order data set: its tokens, and the step of the run that it belongs to.
package struct OrderRow: Sendable, Hashable {
    /// The step, counted from the start of the phase.
    package let step: Int
    /// The token ids, before masking.
    package let inputIDs: [Int32]

    /// Creates a row.
    ///
    /// - Parameters:
    ///   - step: The step, counted from the start of the phase.
    ///   - inputIDs: The token ids, before masking.
    package init(step: Int, inputIDs: [Int32]) {
        self.step = step
        self.inputIDs = inputIDs
    }
}

/// All samples of a step, in the order of the global batch.
package struct OrderedStep: Sendable, Hashable {
    /// The step, counted from the start of the phase.
    package let step: Int
    /// The number of the first sample, counted from the start of the order.
    package let firstRow: Int
    /// The token ids of each sample.
    package let samples: [[Int32]]
}

/// An order that is given and not computed: the rows of an order data set, gathered into steps.
///
/// It holds one step in memory.
public struct ExplicitOrder {
    private let rows: () throws -> OrderRow?
    private let name: String
    private var pending: OrderRow?
    private var isStarted = false
    // The number of rows before the pending one.
    private var rowsBefore = 0
    private var lastStep: Int?

    /// The largest number that all formats hold exactly.
    private static let largestStep = 1 << 53

    /// Creates an order.
    ///
    /// - Parameters:
    ///   - name: What the rows are read from, for messages.
    ///   - rows: Gives the next row, nil at the end; all rows of a step follow each other, and steps rise.
    package init(name: String, rows: @escaping () throws -> OrderRow?) {
        self.name = name
        self.rows = rows
    }

    /// The next step.
    ///
    /// - Returns: Its samples; nil at the end.
    /// - Throws: `CorpusError` when steps fall; what reading throws.
    package mutating func next() throws -> OrderedStep? {
        try start()
        guard let first = pending else { return nil }
        var samples = [first.inputIDs]
        pending = nil
        while let row = try nextRow() {
            guard row.step == first.step else {
                pending = row
                break
            }
            samples.append(row.inputIDs)
        }
        defer { rowsBefore += samples.count }
        return OrderedStep(step: first.step, firstRow: rowsBefore, samples: samples)
    }

    /// Passes over the steps before one, to resume with a run there.
    ///
    /// - Parameter step: The step to stand before.
    /// - Throws: What reading throws; `CorpusError` when the order ends or leaves the step out.
    package mutating func skip(toStep step: Int) throws {
        try start()
        while let row = pending, row.step < step {
            pending = try nextRow()
            rowsBefore += 1
        }
        guard pending?.step == step else { throw leftOut(step, next: pending?.step) }
    }

    private mutating func start() throws {
        guard !isStarted else { return }
        isStarted = true
        pending = try nextRow()
    }

    /// The next row of an order that is read by rows alone.
    mutating func nextRow() throws -> OrderRow? {
        guard let row = try rows() else { return nil }
        try checkNumber(row.step)
        if let lastStep, row.step < lastStep { throw falling(row.step, after: lastStep) }
        lastStep = row.step
        return row
    }

    func checkNumber(_ step: Int) throws {
        guard !(0...Self.largestStep).contains(step) else { return }
        throw CorpusError(
            .malformed,
            file: name,
            item: "step \(step)",
            found: "is not a step number",
            expected: "0 to \(Self.largestStep)"
        )
    }

    func falling(_ step: Int, after last: Int) -> CorpusError {
        CorpusError(
            .malformed,
            file: name,
            item: "step \(step)",
            found: "comes after step \(last)",
            expected: "increasing steps; read each phase, which starts again at 1, separately"
        )
    }

    func leftOut(_ step: Int, next: Int?) -> CorpusError {
        CorpusError(
            .missing,
            file: name,
            item: "step \(step)",
            found: next.map { "is missing; the next one is \($0)" } ?? "is past the end"
        )
    }
}

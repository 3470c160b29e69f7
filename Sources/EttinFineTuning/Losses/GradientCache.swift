// Takes a batch through a model slice by slice, and replays the slices with gradients once those of the loss with respect
// to the model's rows are known, so that the activations of one slice are held at a time.
//
// - Texts of all columns are cut together, in an order in which any run of neighbours has short and long ones in equal
//   measure: slices of as many rows have nearly as many tokens, and the largest, which memory is measured by, is hardly
//   larger than the others. The order does not depend on where the cuts are.
// - Dropout is a function of seed, step, place and the number of the element, so that a replay draws what the first pass
//   did, and other cuts draw the same too.
// - Where nothing is dropped, the first pass takes the kernels of inference, with weights packed once a batch.
import EttinInference
import Torch

/// How the passes of a model over a batch are cut.
package struct GradientCacheSettings: Hashable, Sendable {
    /// The number of texts in a pass; `mini_batch_size`.
    package var rows: Int
    /// The number of tokens in a pass, though at least one text; nil to count texts; `mini_batch_num_tokens`.
    package var tokens: Int?

    /// Creates settings.
    ///
    /// - Parameters:
    ///   - rows: The number of texts in a pass.
    ///   - tokens: The number of tokens in a pass; nil to count texts.
    package init(rows: Int = 32, tokens: Int? = nil) {
        self.rows = rows
        self.tokens = tokens
    }
}

/// The texts of a batch in the slices that they pass through a model in.
struct GradientCache {
    /// Some texts that pass through the model together.
    struct Slice {
        /// Their places in ``texts``.
        let range: Range<Int>
        /// Their rows among those of all texts.
        let rows: Range<Int>
        /// What they are to the task, where a Router has routes.
        let task: String?
        /// The number of tokens in the slices before.
        let precedingTokens: Int
        /// Their number of tokens.
        let tokens: Int
    }

    /// Tokens that pass through the model at a time without gradients: enough to keep the products large, and few beside
    /// what a slice holds for its gradients.
    private static let firstPassTokens = 4096

    /// The texts of all columns in the order of the slices.
    let texts: [PreparedText]
    /// Where each text of each column is in ``texts``.
    let places: [[Int]]
    /// The slices of the replay.
    let slices: [Slice]
    /// Where the model's rows of each text begin among those of ``texts``, and where those of the last one end.
    private let rowStarts: [Int]
    /// Which row of all columns, one column after the other, is at each place among those of ``texts``.
    private let order: [Int64]

    /// Cuts a batch.
    ///
    /// - Parameters:
    ///   - columns: The texts of each column.
    ///   - settings: How to cut; nil for a slice of everything.
    ///   - rowCount: How many rows a model makes of a text.
    ///   - route: The task by which texts take ways of their own through the model.
    init(
        _ columns: [[PreparedText]],
        _ settings: GradientCacheSettings?,
        rowCount: (PreparedText) -> Int = { _ in 1 },
        route: (PreparedText) -> String? = { $0.task }
    ) {
        let all = columns.flatMap(\.self)
        let tasks = Dictionary(grouping: all.indices) { route(all[$0]) }
        let groups = tasks.sorted { ($0.key ?? "") < ($1.key ?? "") }
        var order: [Int] = []
        var rowStarts = [0]
        var slices: [Slice] = []
        var tokens = 0
        for (task, members) in groups {
            let lengths = members.map { all[$0].tokenIDs.count }
            let mixed = Self.mixedOrder(lengths)
            let cuts = Self.cut(mixed.map { lengths[$0] }, settings)
            for cut in cuts {
                let count = cut.reduce(0) { $0 + lengths[mixed[$1]] }
                let (range, firstRow) = (order.count..<order.count + cut.count, rowStarts[order.count])
                for place in cut {
                    order.append(members[mixed[place]])
                    rowStarts.append(rowStarts[rowStarts.count - 1] + rowCount(all[members[mixed[place]]]))
                }
                let rows = firstRow..<rowStarts[order.count]
                slices.append(Slice(range: range, rows: rows, task: task, precedingTokens: tokens, tokens: count))
                tokens += count
            }
        }
        texts = order.map { all[$0] }
        var inverse = [Int](repeating: 0, count: order.count)
        for (place, index) in order.enumerated() { inverse[index] = place }
        var start = 0
        places = columns.map { column in
            defer { start += column.count }
            return Array(inverse[start..<start + column.count])
        }
        self.slices = slices
        self.rowStarts = rowStarts
        // Where the rows of each text begin, one column after the other.
        var firstRows = [Int](repeating: 0, count: all.count)
        var row = 0
        for (text, place) in inverse.enumerated() {
            firstRows[text] = row
            row += rowStarts[place + 1] - rowStarts[place]
        }
        self.order = order.enumerated().flatMap { place, text in
            (0..<rowStarts[place + 1] - rowStarts[place]).map { Int64(firstRows[text] + $0) }
        }
    }

    /// An order in which any run of neighbours has short and long texts in equal measure.
    ///
    /// Multiples of the golden ratio, modulo 1, are spread evenly however many one takes and wherever one begins; the text
    /// at a place is as long, among all, as the multiple there is large.
    static func mixedOrder(_ lengths: [Int]) -> [Int] {
        let byLength = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        let ratio = (5.0.squareRoot() - 1) / 2
        let multiples = lengths.indices.map { (Double($0 + 1) * ratio).truncatingRemainder(dividingBy: 1) }
        var order = [Int](repeating: 0, count: lengths.count)
        let places = multiples.indices.sorted { (multiples[$0], $0) < (multiples[$1], $1) }
        for (rank, place) in places.enumerated() { order[place] = byLength[rank] }
        return order
    }

    /// Neighbours of a list of lengths that make slices.
    static func cut(_ lengths: [Int], _ settings: GradientCacheSettings?) -> [Range<Int>] {
        guard let settings else { return lengths.isEmpty ? [] : [0..<lengths.count] }
        guard let budget = settings.tokens else {
            return stride(from: 0, to: lengths.count, by: max(1, settings.rows)).map {
                $0..<min($0 + max(1, settings.rows), lengths.count)
            }
        }
        var ranges: [Range<Int>] = []
        var (start, tokens) = (0, 0)
        for (place, length) in lengths.enumerated() {
            if place > start, tokens + length > budget {
                ranges.append(start..<place)
                (start, tokens) = (place, 0)
            }
            tokens += length
        }
        if start < lengths.count { ranges.append(start..<lengths.count) }
        return ranges
    }

    // MARK: - Passes

    /// What a model makes of some texts.
    ///
    /// - Parameters:
    ///   - slice: The texts.
    ///   - model: The model.
    ///   - dropout: The dropout context of the batch; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[rows, width]`, float32.
    func rows(
        of slice: Slice,
        _ model: some TextRowsModel,
        dropout: DropoutContext?,
        precision: Precision
    ) -> Tensor {
        let context = dropout.map { dropout in
            var context = DropoutContext(
                seed: dropout.seed,
                step: dropout.step,
                precedingTokens: dropout.precedingTokens + slice.precedingTokens,
                precedingSequences: dropout.precedingSequences + slice.range.lowerBound,
                recomputesActivations: dropout.recomputesActivations
            )
            context.isSlice = true
            return context
        }
        return model.rows(of: Array(texts[slice.range]), task: slice.task, dropout: context, precision: precision)
    }

    /// What a model makes of the texts of some slices, one after the other, without gradients.
    ///
    /// - Parameters:
    ///   - slices: The slices.
    ///   - model: The model.
    ///   - dropout: The dropout context of the batch; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: Tensors whose rows are those of the texts in the order of the slices.
    func rowsWithoutGradients(
        of slices: some Collection<Slice>,
        _ model: some TextRowsModel,
        dropout: DropoutContext?,
        precision: Precision
    ) -> [Tensor] {
        withoutGradients {
            let context = model.dropsActivations ? dropout : nil
            let passes = merged(slices)
            func run() -> [Tensor] {
                passes.map { rows(of: $0, model, dropout: context, precision: precision) }
            }
            // Weights are packed for one pass as for many, which is worth it from some tokens on.
            let tokens = passes.reduce(0) { $0 + $1.tokens }
            guard context == nil, precision == .full, tokens >= Self.firstPassTokens else { return run() }
            return model.withPrepackedWeights(longestText: texts.map(\.tokenIDs.count).max() ?? 0, run)
        }
    }

    /// Slices of a task put together as far as they are small.
    private func merged(_ slices: some Collection<Slice>) -> [Slice] {
        var passes: [Slice] = []
        for slice in slices {
            if let last = passes.last, last.task == slice.task, last.tokens + slice.tokens <= Self.firstPassTokens {
                passes[passes.count - 1] = Slice(
                    range: last.range.lowerBound..<slice.range.upperBound,
                    rows: last.rows.lowerBound..<slice.rows.upperBound,
                    task: slice.task,
                    precedingTokens: last.precedingTokens,
                    tokens: last.tokens + slice.tokens
                )
            } else {
                passes.append(slice)
            }
        }
        return passes
    }

    /// The rows of each column, given those of all texts: leaves, to which a loss may come back as often as it likes.
    func columns(_ rows: Tensor) -> [Tensor] {
        withoutGradients {
            places.map { places in
                let indices = places.flatMap { (rowStarts[$0]..<rowStarts[$0 + 1]).map(Int64.init) }
                return rows.selecting(Tensor(indices).to(rows.device))
            }
        }
    }

    /// The gradients of all texts, given the rows of each column.
    ///
    /// - Parameter columns: What ``columns(_:)`` made, with the gradients of the loss.
    /// - Returns: `[rows, width]`, in the order of the slices.
    func gradients(of columns: [Tensor]) -> Tensor {
        let gradients = columns.map { $0.gradient ?? .zeros($0.shape, on: $0.device) }
        return Tensor.concatenate(gradients).selecting(Tensor(order).to(columns[0].device))
    }
}

// The originals' packer, with what is odd about it: a buffer that is refilled only when it is empty, sequences that were
// passed over come back in reverse, and the padding of a row is a segment of its own that attention runs over. Ettin was
// trained without it; it is here for recipes that name it.

/// Rows of equal length, filled with sequences and padded, as the originals' packer gives them.
package struct PaddedRows: Sendable, Hashable {
    /// The token ids of each row, all rows equally long.
    package let inputIDs: [[Int32]]
    /// The cumulative lengths of each row's segments; the padding of a row is its last segment.
    package let cuSeqlens: [[Int32]]

    /// The number of tokens of the longest segment of each row.
    package var maxSeqlens: [Int] {
        cuSeqlens.map { ends in zip(ends, ends.dropFirst()).reduce(0) { max($0, Int($1.1 - $1.0)) } }
    }
}

/// The originals' greedy packer: each sequence goes into the row that it fills most.
package struct GreedyBestFitPacker {
    /// The number of tokens of a row.
    package let rowTokens: Int
    private let fullRows: Int
    private let sourceBatch: Int
    private let capacity: Int
    private let padding: Int32
    private let pull: () throws -> [[Int32]]?
    // The first sequence is at the end.
    private var reversedQueue: [[Int32]] = []
    private var isSourceEmpty = false

    /// Creates a packer for one epoch.
    ///
    /// - Parameters:
    ///   - deviceBatch: The number of sequences of a batch of the source.
    ///   - microbatch: The number of sequences whose greatest length is the length of a row; it divides `deviceBatch`.
    ///   - maxTokens: Maximum number of tokens of a sequence, `max_seq_len`.
    ///   - capacity: The number of sequences of the buffer, `packing_buffer_size`; nil for five batches.
    ///   - padding: The padding token.
    ///   - pull: Gives the next batch of the source, nil at the end.
    /// - Throws: `CorpusError` for sizes that do not divide, or a buffer that holds no batch.
    package init(
        deviceBatch: Int,
        microbatch: Int,
        maxTokens: Int,
        capacity: Int? = nil,
        padding: Int32 = SpecialTokens().padding,
        pull: @escaping () throws -> [[Int32]]?
    ) throws {
        guard microbatch >= 1, deviceBatch >= microbatch, deviceBatch % microbatch == 0, maxTokens >= 1 else {
            throw CorpusError(
                .invalidOption,
                file: "device_train_microbatch_size",
                found: "is \(microbatch) for batches of \(deviceBatch) sequences of at most \(maxTokens) tokens",
                expected: "a divisor of the batch"
            )
        }
        let capacity = capacity ?? 5 * deviceBatch
        guard capacity > deviceBatch else {
            throw CorpusError(
                .invalidOption,
                file: "packing_buffer_size",
                found: "is \(capacity)",
                expected: "more than the \(deviceBatch) sequences of a batch"
            )
        }
        fullRows = deviceBatch / microbatch
        rowTokens = microbatch * maxTokens
        sourceBatch = deviceBatch
        self.capacity = capacity
        self.padding = padding
        self.pull = pull
    }

    /// Packs the next batch.
    ///
    /// - Parameter rows: The number of rows, for a batch-size warm-up; nil for a full batch.
    /// - Returns: The rows; nil at the end, when what is left does not reach every row and is dropped.
    /// - Throws: `CorpusError` for a sequence longer than a row; what reading the source throws.
    package mutating func next(rows: Int? = nil) throws -> PaddedRows? {
        var ids = [[Int32]](repeating: [], count: rows ?? fullRows)
        var ends = [[Int32]](repeating: [0], count: ids.count)
        var skipped: [[Int32]] = []
        while true {
            if reversedQueue.isEmpty {
                try refill(atMost: capacity - skipped.count)
                if reversedQueue.isEmpty { break }
            }
            let sequence = reversedQueue.removeLast()
            var best: Int?
            for row in ids.indices where ids[row].count + sequence.count <= rowTokens {
                if best.map({ ids[row].count > ids[$0].count }) ?? true { best = row }
            }
            guard let best else {
                skipped.append(sequence)
                continue
            }
            ids[best] += sequence
            ends[best].append(Int32(ids[best].count))
        }
        // Put back one by one at the front, so the last one passed over comes first.
        reversedQueue += skipped
        guard ids.allSatisfy({ !$0.isEmpty }) else { return nil }
        for row in ids.indices where ids[row].count < rowTokens {
            ids[row] += [Int32](repeating: padding, count: rowTokens - ids[row].count)
            ends[row].append(Int32(rowTokens))
        }
        return PaddedRows(inputIDs: ids, cuSeqlens: ends)
    }

    private mutating func refill(atMost budget: Int) throws {
        var added: [[Int32]] = []
        // The buffer is refilled only while more than a batch fits: an upstream quirk.
        while !isSourceEmpty, capacity - added.count > sourceBatch, added.count + sourceBatch <= budget {
            guard let batch = try pull() else {
                isSourceEmpty = true
                break
            }
            for sequence in batch where !sequence.isEmpty {
                guard sequence.count <= rowTokens else {
                    throw CorpusError(
                        .malformed,
                        file: "a sequence",
                        found: "has \(sequence.count) tokens",
                        expected: "at most the \(rowTokens) of a row"
                    )
                }
                added.append(sequence)
            }
        }
        reversedQueue = added.reversed()
    }
}

/// The masks that the originals' packer makes, bit for bit: special tokens and padding are masked like all others.
package struct PackedRowMasking: Sendable {
    /// What the model reads, and what it is to predict.
    package struct Rows: Sendable, Hashable {
        /// The token ids of each row after masking.
        package let inputIDs: [[Int32]]
        /// The label of each token, ``TrainingBatch/ignoredLabel`` where nothing is to be predicted.
        package let labels: [[Int32]]
    }

    private var random: NumPyGenerator
    private let probability: Double
    private let specials: SpecialTokens

    /// Creates the masks of an epoch of one rank.
    ///
    /// - Parameters:
    ///   - probability: The probability that a token is chosen, `mlm_probability`.
    ///   - seed: The seed of the run.
    ///   - epoch: The number of the epoch, from 0.
    ///   - specials: The ids of the mask and padding tokens.
    package init(probability: Double, seed: UInt64, epoch: Int, specials: SpecialTokens = SpecialTokens()) {
        random = NumPyGenerator(seed: seed + UInt64(epoch))
        self.probability = probability
        self.specials = specials
    }

    /// Masks the next batch of the epoch.
    ///
    /// - Parameter rows: The packed rows.
    /// - Returns: Inputs and labels.
    package mutating func masked(_ rows: PaddedRows) -> Rows {
        let draws = rows.inputIDs.map { row in row.map { _ in random.random() } }
        var inputs = rows.inputIDs
        var labels = rows.inputIDs
        for (row, drawn) in draws.enumerated() {
            for (place, draw) in drawn.enumerated() {
                if draw < 0.8 * probability { inputs[row][place] = specials.mask }
                if draw >= probability || rows.inputIDs[row][place] == specials.padding {
                    labels[row][place] = TrainingBatch.ignoredLabel
                }
            }
        }
        // Random ids reach up to the largest one that is there, and are drawn for all places.
        let largest = inputs.joined().max() ?? 0
        for (row, drawn) in draws.enumerated() {
            for (place, draw) in drawn.enumerated() {
                let id = random.integer(in: 0..<Int(largest) + 1)
                if 0.8 * probability <= draw, draw < 0.9 * probability { inputs[row][place] = Int32(id) }
            }
        }
        return Rows(inputIDs: inputs, labels: labels)
    }
}

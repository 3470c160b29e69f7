import EttinFiles
public import EttinJSON

/// Writes the samples of a run in the order in which it sees them: rows of `input_ids`, before masking, and `step`.
///
/// A part of the job gets consecutive steps, so that the parts, put in order, hold the rows of the whole.
public struct OrderExportStage: Sendable {
    /// The orders by their names.
    public enum Order: String, CaseIterable, Sendable {
        /// Our own, which is computed position by position.
        case keyed
        /// The permutation that Ettin was trained in.
        case permutation
        /// The samples in storage order.
        case sequential
        /// Those of streaming, by its names.
        case naive, py1s, py1e, py1br, py2s
    }

    /// The data set of the run.
    public var input: String
    /// The samples of a step, over all ranks.
    public var batchSize: Int
    /// The first step to write, from 1.
    public var firstStep: Int
    /// How many steps to write; nil for one epoch.
    public var steps: Int?
    /// The order of the samples.
    public var order: Order
    /// The seed of the order.
    public var seed: UInt64
    /// The canonical nodes of streaming's orders; nil for as many as it chooses for one machine.
    public var canonicalNodes: Int?
    /// What happens to the samples at the end of an epoch that fill no batch.
    public var remainder: GlobalBatches.Remainder

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - input: The data set of the run.
    ///   - batchSize: The samples of a step, over all ranks.
    ///   - firstStep: The first step to write, from 1.
    ///   - steps: How many steps to write; nil for one epoch.
    ///   - order: The order of the samples.
    ///   - seed: The seed of the order; the suite was trained with the default.
    ///   - canonicalNodes: The canonical nodes of streaming's orders; nil for as many as it chooses for one machine.
    ///   - remainder: What happens to the samples at the end of an epoch that fill no batch.
    public init(
        input: String,
        batchSize: Int,
        firstStep: Int = 1,
        steps: Int? = nil,
        order: Order = .keyed,
        seed: UInt64 = 21,
        canonicalNodes: Int? = nil,
        remainder: GlobalBatches.Remainder = .dropped
    ) {
        self.input = input
        self.batchSize = batchSize
        self.firstStep = firstStep
        self.steps = steps
        self.order = order
        self.seed = seed
        self.canonicalNodes = canonicalNodes
        self.remainder = remainder
    }

    /// Runs the stage, or what an earlier run has left of it.
    ///
    /// - Parameter options: Output, part and writing. A name that ends in `.jsonl` gives JSON Lines, any other MDS shards;
    ///   the size limit is then how many bytes of lines a stopped run may have to write again.
    /// - Returns: The manifest: what was read, with which parameters, and the counts.
    /// - Throws: `CorpusError` when an option is impossible, the input is missing or malformed, or the output cannot be
    ///   written.
    @discardableResult
    public func run(_ options: StageOptions) throws -> JSONValue {
        let found = try CorpusInput.mdsDataset(input)
        let isSequential = order == .sequential
        let dataset = try MDSDataset(
            folder: input,
            decompression: isSequential ? .intoMemory : .intoFile,
            openShardLimit: isSequential ? 1 : 4096
        )
        let steps = try checkedSteps(dataset.sampleCount)
        let header = OrderOutput.header(
            stage: "export-order",
            parameters: parameters(steps),
            inputs: [try InputFingerprint.of(found)],
            options: options
        )
        if let manifest = try OrderOutput.finishedManifest(options.output, header: header) { return manifest }
        // Noticed before anything is written.
        try GlobalBatches.check(batchSize, sampleCount: dataset.sampleCount, remainder)
        let part = options.part.range(of: steps.count)
        let range = steps.lowerBound + part.lowerBound..<steps.lowerBound + part.upperBound
        let output = try OrderOutput(
            header: header,
            element: dataset.tokenElement,
            stepCount: range.count,
            options: options
        )
        let next = range.lowerBound + output.counts.steps
        let start = DataPosition(
            step: next - 1,
            batchSize: batchSize,
            sampleCount: dataset.sampleCount,
            remainder: remainder
        )
        var batches = try GlobalBatches(sampleOrder(of: dataset), from: start, remainder: remainder)
        for step in next..<range.upperBound {
            for reference in try batches.next(size: batchSize).dropFirst(output.counts.rowsOfStep) {
                try output.append(OrderRow(step: step, inputIDs: dataset.tokenIDs(at: reference.index)))
            }
            output.endStep()
        }
        return try output.finish()
    }

    private func checkedSteps(_ sampleCount: Int) throws -> Range<Int> {
        for (name, number) in [("batch size", batchSize), ("first step", firstStep), ("steps", steps ?? 1)]
        where !(1...1 << 40).contains(number) {
            throw CorpusError(.invalidOption, file: name, found: "is \(number)", expected: "1 to \(1 << 40)")
        }
        let whole = sampleCount / batchSize
        let epoch = remainder == .dropped || sampleCount % batchSize == 0 ? whole : whole + 1
        return firstStep..<firstStep + (steps ?? max(1, epoch))
    }

    private func sampleOrder(of dataset: MDSDataset) throws -> any SampleOrder {
        switch order {
        case .keyed: return KeyedOrder(count: dataset.sampleCount, seed: seed)
        case .permutation: return NumPyPermutationOrder(count: dataset.sampleCount, seed: seed)
        case .sequential: return SequentialOrder(count: dataset.sampleCount)
        case .naive, .py1s, .py1e, .py1br, .py2s:
            let algorithm = StreamingOrder.Algorithm(rawValue: order.rawValue) ?? .naive
            return try StreamingOrder(
                shardSizes: dataset.index.shards.map(\.sampleCount),
                algorithm: algorithm,
                canonicalNodes: canonicalNodes
                    ?? StreamingOrder.defaultCanonicalNodes(algorithm, physicalNodes: 1),
                seed: seed
            )
        }
    }

    private func parameters(_ steps: Range<Int>) -> JSONObject {
        [
            "batch_size": JSONValue(batchSize), "first_step": JSONValue(steps.lowerBound),
            "steps": JSONValue(steps.count), "order": .string(order.rawValue), "seed": .string(String(seed)),
            "canonical_nodes": canonicalNodes.map { JSONValue($0) } ?? .null,
            "remainder": .string(remainder.rawValue),
        ]
    }
}

extension MDSDataset {
    /// How an order of the data set stores ids.
    fileprivate var tokenElement: MDSElement {
        let isNarrow = index.shards.allSatisfy { shard in
            shard.schema.columns.contains {
                $0.name == "input_ids" && $0.encoding == .array(element: .uint16, shape: nil)
            }
        }
        return isNarrow ? .uint16 : .uint32
    }
}

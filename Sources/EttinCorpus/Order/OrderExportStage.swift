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
        /// Those of streaming's loader, by the names of its shuffles.
        case naive, py1s, py1e, py1br, py2s
        /// That of streaming's loader without a shuffle.
        case unshuffled
    }

    /// A data set of the run.
    public struct Input: Sendable, Hashable {
        /// Its folder.
        package var path: String
        /// How much of it an epoch takes; other than once, only in the orders of streaming.
        package var weight: MDSStreams.Weight

        /// Names a data set.
        ///
        /// - Parameters:
        ///   - path: Its folder.
        ///   - weight: How much of it an epoch takes.
        public init(path: String, weight: MDSStreams.Weight = .once) {
            self.path = path
            self.weight = weight
        }
    }

    /// What only the orders of streaming depend on.
    public struct Streaming: Sendable, Hashable {
        /// The `num_canonical_nodes`; nil for the library's default.
        package var canonicalNodes: Int?
        /// The `shuffle_block_size`; nil for the library's default.
        package var blockSize: Int?
        /// The number of machines.
        package var physicalNodes: Int
        /// The number of ranks of each machine.
        package var ranksPerNode: Int
        /// How samples are drawn where an epoch does not take all of them once.
        package var sampling: StreamingSampling

        /// Creates settings (default: one process, the library's own defaults).
        ///
        /// - Parameters:
        ///   - canonicalNodes: The `num_canonical_nodes`.
        ///   - blockSize: The `shuffle_block_size`.
        ///   - physicalNodes: The number of machines.
        ///   - ranksPerNode: The number of ranks of each machine.
        ///   - sampling: How samples are drawn where an epoch does not take all of them once.
        public init(
            canonicalNodes: Int? = nil,
            blockSize: Int? = nil,
            physicalNodes: Int = 1,
            ranksPerNode: Int = 1,
            sampling: StreamingSampling = StreamingSampling()
        ) {
            self.canonicalNodes = canonicalNodes
            self.blockSize = blockSize
            self.physicalNodes = physicalNodes
            self.ranksPerNode = ranksPerNode
            self.sampling = sampling
        }
    }

    /// The data sets of the run, whose samples are numbered through.
    package var inputs: [Input]
    /// The samples of a step, over all ranks.
    package var batchSize: Int
    /// The first step to write, from 1.
    package var firstStep: Int
    /// How many steps to write; nil for one epoch.
    package var steps: Int?
    /// The order of the samples.
    package var order: Order
    /// The seed of the order.
    package var seed: UInt64
    /// What only the orders of streaming depend on.
    package var streaming: Streaming
    /// What happens to the samples at the end of an epoch that fill no batch.
    package var remainder: GlobalBatches.Remainder

    /// Prepares the stage.
    ///
    /// - Parameters:
    ///   - inputs: The data sets of the run.
    ///   - batchSize: The samples of a step, over all ranks.
    ///   - firstStep: The first step to write, from 1.
    ///   - steps: How many steps to write; nil for one epoch.
    ///   - order: The order of the samples.
    ///   - seed: The seed of the order; the suite was trained with the default.
    ///   - streaming: What only the orders of streaming depend on.
    ///   - remainder: What happens to the samples at the end of an epoch that fill no batch.
    public init(
        inputs: [Input],
        batchSize: Int,
        firstStep: Int = 1,
        steps: Int? = nil,
        order: Order = .keyed,
        seed: UInt64 = 21,
        streaming: Streaming = Streaming(),
        remainder: GlobalBatches.Remainder = .dropped
    ) {
        self.inputs = inputs
        self.batchSize = batchSize
        self.firstStep = firstStep
        self.steps = steps
        self.order = order
        self.seed = seed
        self.streaming = streaming
        self.remainder = remainder
    }

    /// Prepares the stage for a run on one data set.
    ///
    /// - Parameters:
    ///   - input: The data set of the run.
    ///   - batchSize: The samples of a step, over all ranks.
    ///   - firstStep: The first step to write, from 1.
    ///   - steps: How many steps to write; nil for one epoch.
    ///   - order: The order of the samples.
    ///   - seed: The seed of the order; the suite was trained with the default.
    ///   - streaming: What only the orders of streaming depend on.
    ///   - remainder: What happens to the samples at the end of an epoch that fill no batch.
    public init(
        input: String,
        batchSize: Int,
        firstStep: Int = 1,
        steps: Int? = nil,
        order: Order = .keyed,
        seed: UInt64 = 21,
        streaming: Streaming = Streaming(),
        remainder: GlobalBatches.Remainder = .dropped
    ) {
        self.init(
            inputs: [Input(path: input)],
            batchSize: batchSize,
            firstStep: firstStep,
            steps: steps,
            order: order,
            seed: seed,
            streaming: streaming,
            remainder: remainder
        )
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
        try checkNumbers()
        let found = try inputs.map { try CorpusInput.mdsDataset($0.path) }
        let isSequential = order == .sequential
        let datasets = try inputs.map {
            try MDSDataset(
                folder: $0.path,
                decompression: isSequential ? .intoMemory : .intoFile,
                openShardLimit: isSequential ? 1 : 4096
            )
        }
        for dataset in datasets { try dataset.checkFiles() }
        let source = try MDSStreams(zip(datasets, inputs).map { (dataset: $0, weight: $1.weight) })
        let samples = try sampleOrder(of: datasets)
        let steps = stepRange(samples.count)
        let header = OrderOutput.header(
            stage: "export-order",
            parameters: parameters(steps),
            inputs: try found.map { try InputFingerprint.of($0) },
            options: options
        )
        if let manifest = try OrderOutput.finishedManifest(options.output, header: header) { return manifest }
        // Noticed before anything is written.
        let tokenizer = try DatasetTokenizer.common(of: inputs.map(\.path))?.fingerprint
        try GlobalBatches.check(batchSize, sampleCount: samples.count, remainder)
        let part = options.part.range(of: steps.count)
        let range = steps.lowerBound + part.lowerBound..<steps.lowerBound + part.upperBound
        let output = try OrderOutput(
            header: header,
            element: datasets.allSatisfy(\.hasNarrowTokens) ? .uint16 : .uint32,
            stepCount: range.count,
            options: options
        )
        let next = range.lowerBound + output.counts.steps
        let start = DataPosition(
            step: next - 1,
            batchSize: batchSize,
            sampleCount: samples.count,
            remainder: remainder
        )
        var batches = try GlobalBatches(samples, from: start, remainder: remainder)
        for step in next..<range.upperBound {
            for reference in try batches.next(size: batchSize).dropFirst(output.counts.rowsOfStep) {
                try output.append(OrderRow(step: step, inputIDs: source.tokenIDs(at: reference.index)))
            }
            output.endStep()
        }
        return try output.finish(tokenizer: tokenizer)
    }

    private func checkNumbers() throws {
        for (name, number) in [("batch size", batchSize), ("first step", firstStep), ("steps", steps ?? 1)]
        where !(1...1 << 40).contains(number) {
            throw CorpusError(.invalidOption, file: name, found: "is \(number)", expected: "1 to \(1 << 40)")
        }
        guard order.isStreaming else {
            guard streaming == Streaming(), inputs.allSatisfy({ $0.weight == .once }) else {
                throw CorpusError(
                    .invalidOption,
                    file: "the order \(order.rawValue)",
                    found: "is given with settings of streaming's orders",
                    expected: "one of \(Order.allCases.filter(\.isStreaming).map(\.rawValue).joined(separator: ", "))"
                )
            }
            return
        }
        try StreamingLimits.check("num_physical_nodes", streaming.physicalNodes, in: StreamingLimits.nodes)
        try StreamingLimits.check("ranks_per_node", streaming.ranksPerNode, in: StreamingLimits.nodes)
        let ranks = streaming.physicalNodes * streaming.ranksPerNode
        guard batchSize % ranks == 0 else {
            throw CorpusError(
                .invalidOption,
                file: "batch size",
                found: "is \(batchSize) for \(ranks) ranks",
                expected: "a multiple of the number of ranks"
            )
        }
    }

    private func stepRange(_ sampleCount: Int) -> Range<Int> {
        let whole = sampleCount / batchSize
        let epoch = remainder == .dropped || sampleCount % batchSize == 0 ? whole : whole + 1
        return firstStep..<firstStep + (steps ?? max(1, epoch))
    }

    private func sampleOrder(of datasets: [MDSDataset]) throws -> any SampleOrder {
        let count = datasets.reduce(0) { $0 + $1.sampleCount }
        switch order {
        case .keyed: return KeyedOrder(count: count, seed: seed)
        case .permutation: return NumPyPermutationOrder(count: count, seed: seed)
        case .sequential: return SequentialOrder(count: count)
        case .naive, .py1s, .py1e, .py1br, .py2s, .unshuffled:
            let ranks = streaming.physicalNodes * streaming.ranksPerNode
            return try StreamingOrder(
                streams: zip(datasets, inputs).map { dataset, input in
                    StreamingSource(shardSizes: dataset.index.shards.map(\.sampleCount), weight: input.weight)
                },
                algorithm: order.algorithm,
                canonicalNodes: canonicalNodes,
                seed: seed,
                blockSize: streaming.blockSize,
                sampling: streaming.sampling,
                shape: ElasticPartition.Shape(
                    physicalNodes: streaming.physicalNodes,
                    ranksPerNode: streaming.ranksPerNode,
                    workersPerRank: 1,
                    batchSize: batchSize / ranks
                )
            )
        }
    }

    private var canonicalNodes: Int {
        streaming.canonicalNodes
            ?? StreamingOrder.defaultCanonicalNodes(order.algorithm ?? .py1e, physicalNodes: streaming.physicalNodes)
    }

    private func parameters(_ steps: Range<Int>) -> JSONObject {
        var parameters: JSONObject = [
            "batch_size": JSONValue(batchSize), "first_step": JSONValue(steps.lowerBound),
            "steps": JSONValue(steps.count), "order": .string(order.rawValue), "seed": .string(String(seed)),
            "canonical_nodes": order.isStreaming ? JSONValue(canonicalNodes) : .null,
            "remainder": .string(remainder.rawValue),
        ]
        // Manifests of earlier versions, which did not deal samples out as the loader does, have none of these.
        if order.isStreaming {
            parameters["physical_nodes"] = JSONValue(streaming.physicalNodes)
            parameters["ranks_per_node"] = JSONValue(streaming.ranksPerNode)
            parameters["shuffle_block_size"] = streaming.blockSize.map { JSONValue($0) } ?? .null
            parameters["sampling_method"] = .string(streaming.sampling.method.rawValue)
            parameters["sampling_granularity"] = JSONValue(streaming.sampling.granularity)
            parameters["epoch_size"] = streaming.sampling.epochSize.map { JSONValue($0) } ?? .null
            parameters["weights"] = .array(inputs.map { .string("\($0.weight)") })
        }
        return parameters
    }
}

extension OrderExportStage.Order {
    /// The shuffle of streaming; nil for the other orders, and without one.
    fileprivate var algorithm: StreamingOrder.Algorithm? { StreamingOrder.Algorithm(rawValue: rawValue) }

    /// Whether it is the order of streaming's loader.
    package var isStreaming: Bool { algorithm != nil || self == .unshuffled }
}

extension MDSDataset {
    /// Whether all ids fit into 16 bits.
    fileprivate var hasNarrowTokens: Bool {
        index.shards.allSatisfy { shard in
            shard.schema.columns.contains {
                $0.name == "input_ids" && $0.encoding == .array(element: .uint16, shape: nil)
            }
        }
    }
}

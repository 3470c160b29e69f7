import EttinTraining

/// How the rows of a data set make batches.
///
/// > Source: sentence-transformers, `BatchSamplers`.
package enum BatchSampler: String, Hashable, Sendable, CaseIterable {
    /// A permutation, cut into batches.
    case batchSampler = "batch_sampler"
    /// No value occurs twice in a batch, in whatever columns.
    case noDuplicates = "no_duplicates"
    /// The same; the originals differ in what they compute beforehand.
    case noDuplicatesHashed = "no_duplicates_hashed"
    /// Pairs of rows with the same label, of two labels or more.
    case groupByLabel = "group_by_label"
}

/// How batches of several data sets follow one another.
///
/// > Source: sentence-transformers, `MultiDatasetBatchSamplers`.
package enum MultiDatasetBatchSampler: String, Hashable, Sendable, CaseIterable {
    /// All batches of all data sets, in random order.
    case proportional
    /// One batch of each data set in turn, until one has no more.
    case roundRobin = "round_robin"
}

/// A data set as samplers see it.
package protocol SampledRows {
    /// What messages call it.
    var name: String { get }
    /// The number of rows.
    var rowCount: Int { get }

    /// What `no_duplicates` compares.
    ///
    /// - Returns: For each row, the hashes of its values.
    /// - Throws: When rows cannot be read.
    func valueHashes() throws -> ValueHashes

    /// What `group_by_label` groups by.
    ///
    /// - Returns: The rows of each label, in the order in which the labels first occur.
    /// - Throws: When rows cannot be read, or there is no label.
    func rowsByLabel() throws -> [[Int32]]
}

/// The hashes of the values of rows.
package struct ValueHashes: Hashable, Sendable {
    /// The number of values of each row.
    package let columnCount: Int
    /// The hashes, row by row.
    package let hashes: [UInt64]

    package init(columnCount: Int, hashes: [UInt64]) {
        self.columnCount = columnCount
        self.hashes = hashes
    }
}

/// The rows of a batch, all of one data set.
package struct EpochBatch: Hashable, Sendable {
    /// The number of the data set.
    package let dataset: Int
    /// The rows of the data set, in order.
    package let rows: [Int]
}

/// The batches of an epoch, in 4 bytes a row.
package struct EpochBatches: RandomAccessCollection, Sendable {
    private var rows: [Int32] = []
    private var ends: [Int] = []
    private var datasets: [Int32] = []

    package var startIndex: Int { 0 }
    package var endIndex: Int { ends.count }

    package subscript(batch: Int) -> EpochBatch {
        let start = batch == 0 ? 0 : ends[batch - 1]
        return EpochBatch(dataset: Int(datasets[batch]), rows: rows[start..<ends[batch]].map(Int.init))
    }

    fileprivate mutating func append(_ batch: DrawnBatch) {
        rows += batch.rows
        ends.append(rows.count)
        datasets.append(Int32(batch.dataset))
    }
}

/// Draws the batches of epochs as the trainer of sentence-transformers does, row for row.
///
/// All orders follow from seed and epoch; what was drawn before has no part in it.
///
/// > Source: sentence-transformers, `base/sampler.py`; for a single data set with `batch_sampler`, accelerate's
/// > `SeedableRandomSampler` in front of it.
package struct BatchSampling {
    /// What the samplers are told.
    package struct Options: Hashable, Sendable {
        /// How rows make batches.
        package var sampler = BatchSampler.batchSampler
        /// How batches of several data sets follow one another.
        package var multiDatasetSampler = MultiDatasetBatchSampler.proportional
        /// The number of rows of a batch.
        package var batchSize: Int
        /// The key of a recipe that says so, for messages.
        package var batchSizeKey = "per_device_train_batch_size"
        /// Whether batches with fewer rows are left out (`dataloader_drop_last`).
        package var dropsLast = false
        /// The seed (`seed`).
        package var seed: UInt64 = 42
        /// The seed of the permutations of a single data set with `batch_sampler` (`data_seed`); nil for `seed`.
        package var dataSeed: UInt64?

        package init(batchSize: Int) { self.batchSize = batchSize }
    }

    private let options: Options
    private let sets: [PreparedRows]
    private let isSingle: Bool
    /// The number of batches that an epoch is said to have, by which steps and schedules are counted.
    ///
    /// There can be more of them (`no_duplicates`), and, of data with few different values, fewer.
    package let nominalBatchCount: Int

    /// Prepares sampling.
    ///
    /// - Parameters:
    ///   - datasets: The data sets; several, or one that has a name in the recipe, are sampled by
    ///     `multiDatasetSampler`.
    ///   - isSingle: Whether there is one data set without a name.
    ///   - options: What the samplers are told.
    /// - Throws: `TrainingError` for data that leaves no batch, and for options that do not fit; what reading throws.
    package init(_ datasets: [any SampledRows], isSingle: Bool, options: Options) throws {
        precondition(!datasets.isEmpty && (!isSingle || datasets.count == 1), "BatchSampling: \(datasets.count) sets")
        guard options.batchSize > 0 else {
            throw TrainingError(
                .invalidOption,
                options.batchSizeKey,
                found: "is \(options.batchSize)",
                expected: "1 or more"
            )
        }
        self.options = options
        self.isSingle = isSingle
        sets = try datasets.map { try PreparedRows($0, options) }
        let counts = sets.map(\.nominalBatchCount)
        nominalBatchCount =
            switch options.multiDatasetSampler {
            case _ where isSingle: counts[0]
            case .proportional: counts.reduce(0, +)
            case .roundRobin: (counts.min() ?? 0) * counts.count
            }
    }

    /// The batches of an epoch, as far as they are used: no more than the nominal number.
    ///
    /// - Parameter epoch: The number of the epoch, from 0; evaluation is always epoch 0.
    /// - Returns: The batches.
    package func batches(epoch: Int) -> EpochBatches {
        var batches = EpochBatches()
        let drawing = drawing(epoch: epoch)
        while batches.count < nominalBatchCount, let batch = drawing.next() { batches.append(batch) }
        return batches
    }

    /// All batches of an epoch, also those beyond the nominal number.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: The batches.
    package func allBatches(epoch: Int) -> EpochBatches {
        var batches = EpochBatches()
        let drawing = drawing(epoch: epoch)
        while let batch = drawing.next() { batches.append(batch) }
        return batches
    }

    private func drawing(epoch: Int) -> any BatchDrawing {
        let generator = SharedGenerator(seed: options.seed)
        let seed = options.seed &+ UInt64(bitPattern: Int64(epoch))
        if isSingle {
            // The one case in which accelerate takes over the permutation, with the seed of the data.
            let dataSeed = (options.dataSeed ?? options.seed) &+ UInt64(bitPattern: Int64(epoch))
            return SingleDrawing(sets[0].drawing(generator, seed: seed, permutationSeed: dataSeed))
        }
        let parts = sets.map { $0.drawing(generator, seed: seed, permutationSeed: nil) }
        return switch options.multiDatasetSampler {
        case .proportional:
            ProportionalDrawing(parts, counts: sets.map(\.nominalBatchCount), generator: generator, seed: seed)
        case .roundRobin: RoundRobinDrawing(parts, generator: generator, seed: seed)
        }
    }
}

/// A data set with what its sampler computes once for all epochs.
private struct PreparedRows {
    private enum Kind {
        case shuffled
        case noDuplicates(ValueHashes)
        case grouped([[Int32]])
    }

    private let kind: Kind
    private let rowCount: Int
    private let options: BatchSampling.Options
    let nominalBatchCount: Int

    init(_ rows: any SampledRows, _ options: BatchSampling.Options) throws {
        self.options = options
        rowCount = rows.rowCount
        guard rowCount > 0 else {
            throw TrainingError(.unsupported, rows.name, found: "has no rows", expected: "at least one")
        }
        guard rowCount <= Int(Int32.max) else {
            throw TrainingError(
                .unsupported,
                rows.name,
                found: "has \(rowCount) rows",
                expected: "at most \(Int32.max); select fewer"
            )
        }
        let size = options.batchSize
        switch options.sampler {
        case .batchSampler: kind = .shuffled
        case .noDuplicates, .noDuplicatesHashed: kind = .noDuplicates(try rows.valueHashes())
        case .groupByLabel:
            guard size >= 4, size.isMultiple(of: 2) else {
                throw TrainingError(
                    .invalidOption,
                    options.batchSizeKey,
                    found: "is \(size) with batch_sampler group_by_label",
                    expected: "an even number of 4 or more"
                )
            }
            let groups = try rows.rowsByLabel().filter { $0.count >= 2 }
            guard groups.count >= 2 else {
                throw TrainingError(
                    .unsupported,
                    rows.name,
                    found: "has \(groups.count) labels with two rows or more",
                    expected: "at least 2 for batch_sampler group_by_label"
                )
            }
            kind = .grouped(groups)
        }
        switch kind {
        case .shuffled, .noDuplicates:
            nominalBatchCount = options.dropsLast ? rowCount / size : (rowCount - 1) / size + 1
        case .grouped(let groups):
            let pairs = groups.map { $0.count / 2 }.sorted(by: >)
            let length = 2 * pairs.map { min($0, pairs[1]) }.reduce(0, +)
            nominalBatchCount = length / size + (!options.dropsLast && length % size >= 4 ? 1 : 0)
        }
        guard nominalBatchCount > 0 else {
            let isGrouped = options.sampler == .groupByLabel
            throw TrainingError(
                .unsupported,
                rows.name,
                found: "has \(rowCount) rows, which make no batch of \(size)\(isGrouped ? " with group_by_label" : "")",
                expected: options.dropsLast
                    ? "a smaller \(options.batchSizeKey), or dataloader_drop_last: false"
                    : "a smaller \(options.batchSizeKey)"
            )
        }
    }

    func drawing(_ generator: SharedGenerator, seed: UInt64, permutationSeed: UInt64?) -> any RowDrawing {
        let (size, dropsLast) = (options.batchSize, options.dropsLast)
        return switch kind {
        case .shuffled:
            ShuffledDrawing(rowCount, size, dropsLast: dropsLast, generator, seed: permutationSeed)
        case .noDuplicates(let hashes):
            NoDuplicatesDrawing(
                rowCount,
                hashes,
                size,
                dropsLast: dropsLast,
                expectedCount: nominalBatchCount,
                generator,
                seed: seed
            )
        case .grouped(let groups): GroupedDrawing(groups, size, dropsLast: dropsLast, generator, seed: seed)
        }
    }
}

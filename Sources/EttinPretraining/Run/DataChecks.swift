import EttinCorpus
import EttinFiles
package import EttinTokenizer
import EttinTraining

/// Finds mistakes in a recipe's data before anything is written: no samples, another tokenizer, ids that the model does
/// not have, an order that ends too early.
struct DataChecks {
    /// A tokenizer and where it comes from.
    struct Source {
        let tokenizer: Tokenizer
        let name: String
    }

    private static let expectedTokenizer = "tokenizer_name to name the tokenizer that made the data"

    let recipe: PretrainingRecipe
    let vocabularySize: Int
    let tokenizer: Source?
    /// Whether data that are not there are passed over, as a plan does.
    var allowsAbsence = false

    /// Checks the data that a recipe trains on and is measured on.
    ///
    /// Ids are looked at in samples spread over all of the data; batches check their own when they are made.
    ///
    /// - Returns: What could not be compared, a line each.
    /// - Throws: `TrainingError` or `CorpusError` naming the folder.
    func notices() throws -> [String] {
        var notices: [String] = []
        let loaders = [("train_loader", recipe.data)] + [recipe.evalData].compactMap { $0.map { ("eval_loader", $0) } }
        for (loader, settings) in loaders {
            let folders = settings.folders.filter {
                !allowsAbsence || FilePath.exists(FilePath.joined($0, MDSIndex.fileName))
            }
            // Into memory: nothing is written, not even beside compressed shards.
            let datasets = try folders.map {
                try MDSDataset(folder: $0, decompression: .intoMemory, openShardLimit: 1)
            }
            guard !datasets.isEmpty else { continue }
            try checkCount(datasets, of: folders.count == settings.folders.count ? settings : nil, settings, loader)
            for dataset in datasets {
                if let notice = try checkTokenizer(of: dataset.folder), !notices.contains(notice) {
                    notices.append(notice)
                }
                try checkIDs(dataset)
            }
            if case .explicit(let path) = settings.order { try checkSteps(datasets[0], path, loader) }
        }
        if tokenizer == nil {
            let folders = loaders.flatMap { $0.1.folders }
            if let record = try DatasetTokenizer.common(of: folders) {
                notices.append("tokenizer_name is not given, so it is not compared with that of \(record.manifest)")
            }
        }
        return notices
    }

    /// Checks that there are samples and, where all data are there, that an epoch of them has a batch.
    private func checkCount(
        _ datasets: [MDSDataset],
        of complete: DataSettings?,
        _ settings: DataSettings,
        _ loader: String
    ) throws {
        let count = datasets.reduce(0) { $0 + $1.sampleCount }
        let isHeldOut = loader == "eval_loader"
        guard count > 0 else {
            throw TrainingError(
                .invalidOption,
                "\(loader).dataset",
                found: "is \(settings.displayPath), which holds no samples",
                expected: isHeldOut ? "held-out samples, or eval_loader=null to train without evaluation" : "samples"
            )
        }
        if case .explicit = settings.order { return }
        guard let complete, complete.dropLast else { return }
        let weights = complete.weightedFolders.map(\.weight)
        let drawn = try complete.sampleOrder(of: zip(datasets, weights).map { (dataset: $0, weight: $1) }).count
        let (key, size) =
            isHeldOut
            ? ("global_eval_batch_size", recipe.globalEvalBatchSize)
            : ("global_train_batch_size", recipe.globalTrainBatchSize)
        guard drawn < size else { return }
        throw TrainingError(
            .invalidOption,
            key,
            found: "is \(size), but \(settings.displayPath) has \(drawn) samples",
            expected: "at most as many, or \(loader).drop_last: false"
        )
    }

    private func checkTokenizer(of folder: String) throws -> String? {
        guard let tokenizer else { return nil }
        return try DatasetTokenizer.check(
            folder,
            against: tokenizer.tokenizer,
            from: tokenizer.name,
            expected: Self.expectedTokenizer
        )
    }

    private func checkIDs(_ dataset: MDSDataset) throws {
        for sample in dataset.spreadSamples {
            let ids = try dataset.tokenIDs(at: sample)
            guard let id = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize }) else { continue }
            throw CorpusError(
                .malformed,
                file: dataset.folder,
                item: "sample \(sample)",
                found: "holds the id \(id)",
                expected: "ids below the model's vocab_size, \(vocabularySize): the data set is another tokenizer's"
            )
        }
    }

    /// Whether an order has as many steps as a run of so many batches takes.
    private func checkSteps(_ dataset: MDSDataset, _ path: String, _ loader: String) throws {
        func step(_ sample: Int) throws -> Int? {
            guard case .integer(let number)? = try dataset.values(at: sample)["step"] else { return nil }
            return Int(number)
        }
        let length = recipe.maxDuration
        guard loader == "train_loader", length.unit == .batch, let first = try step(0),
            let last = try step(dataset.sampleCount - 1), 0 <= first, first <= last,
            Double(last - first) + 1 < length.value
        else { return }
        throw TrainingError(
            .invalidOption,
            "\(loader).dataset.order_path",
            found: "is \(path), which ends after \(last - first + 1) steps, but max_duration is \(length)",
            expected: "an order of as many steps, or a shorter run"
        )
    }
}

extension DataSettings {
    /// The folders of the data sets, each with its index.
    var folders: [String] {
        if case .explicit(let path) = order { return [path] }
        func folder(_ path: String, _ split: String?) -> String { split.map { FilePath.joined(path, $0) } ?? path }
        guard !streams.isEmpty else { return [folder(localPath, split)] }
        return streams.map { folder($0.localPath, $0.split ?? split) }
    }
}

extension MDSDataset {
    /// A few thousand samples, spread over all of the data, of few shards.
    var spreadSamples: [Int] {
        let (shardLimit, samplesPerShard) = (8, 256)
        let shards = index.shards.count
        return (0..<min(shards, shardLimit)).flatMap { place -> [Int] in
            let position = place * shards / min(shards, shardLimit)
            let (first, count) = (firstSample(ofShard: position), index.shards[position].sampleCount)
            let taken = min(count, samplesPerShard)
            return (0..<taken).map { first + $0 * count / taken }
        }
    }
}

extension PretrainingRecipe {
    /// Checks the data of the recipe, where they are there, as a run of it does before it begins.
    ///
    /// - Parameters:
    ///   - vocabularySize: The rows of the model.
    ///   - tokenizer: The tokenizer of the recipe; nil for none.
    ///   - name: Where the tokenizer comes from.
    /// - Returns: What could not be compared, a line each.
    /// - Throws: `TrainingError` or `CorpusError` naming the folder.
    package func checkData(vocabularySize: Int, tokenizer: Tokenizer?, from name: String?) throws -> [String] {
        let source = tokenizer.map { DataChecks.Source(tokenizer: $0, name: name ?? "tokenizer_name") }
        var checks = DataChecks(recipe: self, vocabularySize: vocabularySize, tokenizer: source)
        checks.allowsAbsence = true
        return try checks.notices()
    }
}

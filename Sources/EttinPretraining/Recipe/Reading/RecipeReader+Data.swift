import EttinCorpus
import EttinFiles
import EttinModel
import EttinRecipes
import EttinTraining

/// What a recipe says of one loader.
struct RecipeLoader {
    /// Nil where the recipe has no such loader.
    var settings: DataSettings?
    var maskProbability = 0.0
}

extension RecipeReader {
    mutating func readLoader(_ key: String, _ model: RecipeModel) throws -> RecipeLoader {
        guard top.has(key) else { return RecipeLoader() }
        let loader = try top.section(key, PretrainingSchema.loader)
        if let name = try loader.string("name"), name != "text" {
            throw loader.problem("name", "is \(quoted(name))", "text")
        }
        let dataset = try loader.section("dataset", PretrainingSchema.dataset)
        let isTraining = key == "train_loader"
        try noteLoader(loader, dataset)
        var settings = DataSettings(localPath: try dataset.string("local") ?? "")
        settings.remote = try dataset.string("remote")
        settings.split = try dataset.string("split")
        settings.streams = try readStreams(dataset)
        guard !settings.localPath.isEmpty || !settings.streams.isEmpty else {
            throw dataset.missing("local", "the folder of the data set, or streams")
        }
        settings.maxSequenceLength = try sequenceLength(dataset)
        settings.shuffle = try dataset.bool("shuffle") ?? false
        settings.shuffleSeed = UInt64(try dataset.int("shuffle_seed", in: 0...Int.max) ?? 9176)
        settings.order = try readOrder(dataset, shuffle: settings.shuffle)
        settings.dropLast = try loader.bool("drop_last") ?? isTraining
        settings.workerCount = try loader.int("num_workers", in: 0...4096) ?? 0
        settings.prefetchFactor = try loader.int("prefetch_factor", in: 1...4096) ?? 2
        settings.packing = try readPacking(loader)
        return RecipeLoader(settings: settings, maskProbability: try maskProbability(dataset, model, isTraining))
    }

    private mutating func noteLoader(_ loader: RecipeSection, _ dataset: RecipeSection) throws {
        let ignored = ["pin_memory", "persistent_workers", "timeout", "packing_prefetch_factor"]
        for key in ignored where loader.has(key) { notices.append("ignored: \(loader.path).\(key)") }
        for key in ["predownload", "eos_token_id", "bos_token_id"] where dataset.has(key) {
            notices.append("ignored: \(dataset.path).\(key)")
        }
        if let method = try dataset.string("group_method"), method != "truncate" {
            throw dataset.problem("group_method", "is \(quoted(method))", "truncate: samples are cut, not joined")
        }
        let named = try dataset.string("tokenizer_name")
        if let named, let name = try top.string("tokenizer_name"), name != named {
            throw dataset.problem(
                "tokenizer_name",
                "is \(quoted(named)), but tokenizer_name is \(quoted(name))",
                "one tokenizer"
            )
        }
    }

    private func sequenceLength(_ dataset: RecipeSection) throws -> Int {
        let range = 2...1 << 30
        let general = try top.int("max_seq_len", in: range)
        guard let own = try dataset.int("max_seq_len", in: range) else {
            return try dataset.require("max_seq_len", general, "the most tokens of a sequence")
        }
        if let general, general != own {
            throw dataset.problem("max_seq_len", "is \(own), but max_seq_len is \(general)", "one length")
        }
        return own
    }

    private func maskProbability(_ dataset: RecipeSection, _ model: RecipeModel, _ isTraining: Bool) throws -> Double {
        func probability(_ section: RecipeSection) throws -> Double? {
            try section.double("mlm_probability", "a probability, 0 to 1") { 0 <= $0 && $0 <= 1 }
        }
        let general = try probability(top)
        let own = try probability(dataset)
        if isTraining, let own, let general, own != general {
            throw dataset.problem("mlm_probability", "is \(own), but mlm_probability is \(general)", "one probability")
        }
        let value = own ?? general
        let suppresses = try dataset.bool("suppress_masking")
        switch model.kind {
        case .decoder:
            if let value, value > 0, suppresses != true {
                throw dataset.problem(
                    own == nil ? "suppress_masking" : "mlm_probability",
                    "would mask \(value) of the tokens, but model.name makes a decoder",
                    "0.0 or suppress_masking: true"
                )
            }
            for key in ["suppress_masking", "use_decoder_attn_mask"] where try dataset.bool(key) == false {
                throw dataset.problem(key, "is false, but model.name makes a decoder", "true")
            }
            return 0
        case .encoder:
            for key in ["suppress_masking", "use_decoder_attn_mask"] where try dataset.bool(key) == true {
                throw dataset.problem(key, "is true, but model.name makes an encoder", "false")
            }
            let value = try dataset.require("mlm_probability", value, "the probability that a token is masked")
            guard value > 0 else {
                throw dataset.problem("mlm_probability", "is \(value), but model.name makes an encoder", "more than 0")
            }
            return value
        }
    }

    // MARK: - Order

    private func readOrder(_ dataset: RecipeSection, shuffle: Bool) throws -> DataSettings.Order {
        let isStreaming = try dataset.bool("streaming") ?? true
        let streaming = DataSettings.StreamingSettings(
            algorithm: try dataset.choice("shuffle_algo", StreamingOrder.Algorithm.self) ?? .py1s,
            canonicalNodes: try dataset.int("num_canonical_nodes", in: 1...1 << 20) ?? 128,
            blockSize: try dataset.int("shuffle_block_size", in: 2...Int.max)
        )
        if let path = try dataset.string("order_path") {
            guard !shuffle else {
                throw dataset.problem(
                    "order_path",
                    "is \(quoted(path)), but shuffle is true",
                    "shuffle: false for a given order"
                )
            }
            return .explicit(path: path)
        }
        guard shuffle else { return .sequential }
        return isStreaming ? .streaming(streaming) : .permutation
    }

    private func readStreams(_ dataset: RecipeSection) throws -> [DataSettings.Stream] {
        guard let node = dataset.node("streams") else { return [] }
        guard !dataset.has("local") else {
            throw dataset.problem("streams", "is given together with local", "one of the two")
        }
        guard case .mapping(let members) = node.content, !members.isEmpty else {
            throw dataset.problem("streams", "is \(node.shownText)", "a mapping of names to data sets")
        }
        let section = try dataset.section("streams", members.map(\.key))
        return try members.map { member in
            let stream = try section.section(member.key, PretrainingSchema.stream)
            let weights = ["proportion", "repeat", "choose"].filter { stream.has($0) }
            guard weights.count <= 1 else {
                throw stream.problem(weights[1], "is given together with \(weights[0])", "one of the two")
            }
            var weight = MDSStreams.Weight.once
            if let share = try stream.double("proportion", "a number above 0", where: { $0 > 0 }) {
                weight = .proportion(share)
            } else if let times = try stream.double("repeat", "a number above 0", where: { $0 > 0 }) {
                weight = .repeated(times)
            } else if let count = try stream.int("choose", in: 1...Int.max) {
                weight = .samples(count)
            }
            let path = try stream.require("local", try stream.string("local"), "the folder of the data set")
            return DataSettings.Stream(
                name: member.key,
                localPath: path,
                split: try stream.string("split"),
                weight: weight
            )
        }
    }

    // MARK: - Packing and the growth of the batch

    private mutating func readPacking(_ loader: RecipeSection) throws -> DataSettings.Packing {
        let buffer = try loader.int("packing_buffer_size", in: 1...Int.max)
        guard try loader.bool("sequence_packing") == true else {
            if buffer != nil { notices.append("inert: \(loader.path).packing_buffer_size without sequence_packing") }
            return .none
        }
        return .greedyBestFit(bufferSize: buffer)
    }

    mutating func readWarmup(
        _ rules: CompatibilityRules,
        _ data: DataSettings,
        _ sizes: RecipeBatchSizes
    ) throws -> BatchSizeWarmupSettings? {
        let loader = try top.section("train_loader", PretrainingSchema.loader)
        let tokens = try loader.time("batch_size_warmup_tokens", in: [.token])?.value ?? 0
        // Recipes refer to the size of a microbatch here, which may be left open.
        let isOpen = try loader.string("batch_size_warmup_min_size") == "auto"
        let least = isOpen ? nil : try loader.int("batch_size_warmup_min_size", in: 1...Int.max)
        guard tokens > 0 else { return nil }
        guard tokens < 0x1p62 else {
            throw loader.problem("batch_size_warmup_tokens", "is \(tokens)", "fewer tokens")
        }
        guard data.packing != .none || rules.batchSizeWarmup == .intended else {
            notices.append(
                "inert: batch_size_warmup_tokens without sequence_packing, as in the training code "
                    + "(rules.batch_size_warmup: intended makes the batch grow)"
            )
            return nil
        }
        guard let least else {
            throw loader.problem(
                "batch_size_warmup_tokens",
                "is given without a number for batch_size_warmup_min_size",
                "the sequences of a batch at the start"
            )
        }
        guard least <= sizes.train else {
            throw loader.problem(
                "batch_size_warmup_min_size",
                "is \(least), but global_train_batch_size is \(sizes.train)",
                "at most the full size"
            )
        }
        return BatchSizeWarmupSettings(minSize: least, tokens: Int(tokens))
    }
}

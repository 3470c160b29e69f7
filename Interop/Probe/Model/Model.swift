// Runs models for the checks in Interop/, which compare them with transformers.
//
//   keys NAME                                  one JSON line per tensor of a model of the suite
//   init NAME FOLDER SCHEME SEED               a model of the suite with new weights
//   logits FOLDER HEAD BATCH FILE [DTYPE]      outputs of packed sequences; hidden states for lm and base
//   gradients FOLDER BATCH FILE                loss of a language model and the gradient of every parameter
//   steps FOLDER BATCH COUNT FILE              logits of greedy steps over a cache, all sequences at once
//   train FOLDER fp32|amp_bf16 THREADS         training steps on request; see TrainingSteps.swift
//   resave FOLDER HEAD FOLDER 4|5 SIZE [DTYPE] loads and saves
//   composer FILE FILE                         what a raw checkpoint says, and the moments of its optimizer
//
// HEAD is lm, base, sequence, token or qa. BATCH is a JSON file {"sequences": [[…]], "labels": [[…]]}.

import EttinJSON
import EttinModel
import Torch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

private struct Batch {
    let sequences: PackedBatch
    let labels: [[Int64]]

    init(_ path: String) throws {
        guard let file = fopen(path, "rb") else { throw ProbeError("\(path): cannot be opened") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while case let count = fread(&block, 1, block.count, file), count > 0 { bytes += block[..<count] }
        let value = try JSONValue(parsing: bytes)
        func rows(_ key: String) -> [[Int64]] {
            value[key]?.arrayValue?.map { $0.arrayValue?.compactMap { $0.intValue.map(Int64.init) } ?? [] } ?? []
        }
        sequences = PackedBatch(rows("sequences").map { $0.map(Int32.init) })
        labels = rows("labels")
    }
}

private func configuration(named name: String) throws -> ModernBERTConfiguration {
    guard let model = EttinSuite.model(named: name) else { throw ProbeError("no model \(name)") }
    return .ettin(size: model.size, kind: model.kind)
}

private func dtype(_ name: String?) throws -> DType? {
    guard let name else { return nil }
    guard let dtype = DType(rawValue: name) else { throw ProbeError("no dtype \(name)") }
    return dtype
}

func write(_ tensors: [(String, Tensor)], _ path: String) throws {
    try SafetensorsWriter.write(tensors.map { TensorToWrite(name: $0, tensor: $1.contiguous()) }, to: path)
}

private func logits(_ folder: String, _ head: String, _ batch: PackedBatch, _ dtype: DType?) throws -> [(
    String, Tensor
)] {
    switch head {
    case "lm":
        let model = try LanguageModel.load(folder: folder, dtype: dtype)
        let states = model.model.allHiddenStates(batch)
        return [("logits", model(batch))] + states.enumerated().map { ("hidden.\($0.offset)", $0.element) }
    case "base":
        let states = try ModernBERT.load(folder: folder, dtype: dtype).allHiddenStates(batch)
        return states.enumerated().map { ("hidden.\($0.offset)", $0.element) }
    case "sequence": return [("logits", try SequenceClassificationModel.load(folder: folder, dtype: dtype)(batch))]
    case "token": return [("logits", try TokenClassificationModel.load(folder: folder, dtype: dtype)(batch))]
    case "qa":
        let scores = try QuestionAnsweringModel.load(folder: folder, dtype: dtype)(batch)
        return [("start", scores.start), ("end", scores.end)]
    default: throw ProbeError("no head \(head)")
    }
}

/// The mean cross-entropy over labels that are not −100, shifted by one for a decoder.
private func gradients(_ folder: String, _ batch: Batch) throws -> [(String, Tensor)] {
    let model = try LanguageModel.load(folder: folder)
    // The file's own memory must not be written, and gradients need leaves.
    let copies: StateDictionary = model.parameters.map { ($0.key, $0.tensor.copy()) }
    try model.load(copies)
    model.setRequiresGradient(true)
    let isCausal = model.configuration.kind == .decoder
    let labels = batch.labels.flatMap { row -> [Int64] in isCausal ? row.dropFirst() + [-100] : row }
    let loss = model.loss(batch.sequences, labels: labels.map(Int32.init)).loss
    loss.backward()
    let found: StateDictionary = model.parameters.map { ($0.key, $0.tensor.gradient ?? .zeros($0.tensor.shape)) }
    return [("loss", loss)] + CheckpointKeyMap.exported(found, for: model.configuration.kind)
}

private func steps(_ folder: String, _ batch: PackedBatch, _ count: Int) throws -> [(String, Tensor)] {
    let model = try LanguageModel.load(folder: folder)
    let cache = KVCache(for: model.model)
    let sequences = (0..<batch.sequenceCount).map { _ in cache.join() }
    var tokens = (0..<batch.sequenceCount).map { Array(batch.inputIDs[batch.range(of: $0)]) }
    var rows: [Tensor] = []
    for _ in 0..<count {
        let logits = try model.nextTokenLogits(CachedBatch(sequences, tokens: tokens), cache: cache)
        rows.append(logits)
        tokens = try logits.argmax(along: 1).array(of: Int64.self).map { [Int32($0)] }
    }
    return rows.enumerated().map { ("step.\($0.offset)", $0.element) }
}

private func resave(_ model: some PretrainedModel, _ arguments: [String]) throws {
    let format = arguments[4] == "4" ? ModernBERTConfiguration.Format.version4 : .version5
    try model.save(folder: arguments[3], shardSize: ShardSize(arguments[5]), format: format)
}

private func resave(_ arguments: [String]) throws {
    let (folder, type) = (arguments[1], try dtype(arguments.count > 6 ? arguments[6] : nil))
    switch arguments[2] {
    case "lm": try resave(LanguageModel.load(folder: folder, dtype: type), arguments)
    case "base": try resave(ModernBERT.load(folder: folder, dtype: type), arguments)
    case "sequence": try resave(SequenceClassificationModel.load(folder: folder, dtype: type), arguments)
    case "token": try resave(TokenClassificationModel.load(folder: folder, dtype: type), arguments)
    case "qa": try resave(QuestionAnsweringModel.load(folder: folder, dtype: type), arguments)
    default: throw ProbeError("no head \(arguments[2])")
    }
}

func runModel(_ arguments: [String]) throws {
    switch (arguments.first, arguments.count) {
    case ("keys", 2):
        for (key, tensor) in LanguageModel(try configuration(named: arguments[1])).checkpointState {
            print(JSONValue.object(["name": .string(key), "shape": .array(tensor.shape.map { .init($0) })]).text())
        }
    case ("init", 5):
        let model = LanguageModel(try configuration(named: arguments[1]))
        guard let scheme = WeightInitialization(rawValue: arguments[3]), let seed = UInt64(arguments[4]) else {
            throw ProbeError("no scheme \(arguments[3]) or seed \(arguments[4])")
        }
        model.initialize(scheme, seed: seed)
        try model.save(folder: arguments[2])
    case ("logits", 5), ("logits", 6):
        let batch = try Batch(arguments[3]).sequences
        let type = try dtype(arguments.count > 5 ? arguments[5] : nil)
        try withoutGradients { try write(logits(arguments[1], arguments[2], batch, type), arguments[4]) }
    case ("gradients", 4): try write(gradients(arguments[1], Batch(arguments[2])), arguments[3])
    case ("steps", 5):
        let batch = try Batch(arguments[2]).sequences
        let count = Int(arguments[3]) ?? 1
        try withoutGradients { try write(steps(arguments[1], batch, count), arguments[4]) }
    case ("train", 4):
        guard let precision = Precision(rawValue: arguments[2]), let threads = Int(arguments[3]), threads > 0 else {
            throw ProbeError("no precision \(arguments[2]) or thread count \(arguments[3])")
        }
        TorchRuntime.setThreadCount(threads)
        TorchRuntime.setKeptMemoryLimit(bytes: .max)
        try TrainingLoop(folder: arguments[1], precision: precision).serve()
    case ("resave", 6), ("resave", 7): try resave(arguments)
    case ("composer", 3): try describeComposerCheckpoint(arguments[1], moments: arguments[2])
    default: throw ProbeError("unknown call; see the head of Interop/Probe/Model/Model.swift")
    }
}

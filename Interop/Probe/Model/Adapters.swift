import EttinJSON
import EttinModel
import EttinPrimitives
import Torch

/// Answers a request of the adapters subcommand, one line of JSON each way.
///
///   {"op": "adapters", "folder": f, "weights": f, "scale": x, "sequences": [[ids]], "labels": [[ids]],
///    "recomputes": b, "precision": "fp32"|"amp_bf16", "output": f}
///      {"loss": x}; a language model with a low-rank adapter on every linear layer, whose matrices are those of the
///      file "weights" under our keys. Labels of a decoder are shifted here. The file "output" gets `gradient.KEY` of
///      every parameter that has one, and `logits` with adapters apart, merged and packed.
///   {"op": "embedding_step", "folder": f, "sequences": [[ids]], "recomputes": b, "rate": x, "save": f, "output": f}
///      {"loss": x}; an embedding model takes one step of AdamW down the mean square of its vectors' distance from 0.1,
///      and is saved. "output" gets `gradient.KEY` of every parameter, and `embeddings` after the step.
///   {"op": "lora", "folder": f, "adapter": f, "sequences": [[ids]], "labels": [[ids]], "steps": n, "rate": x,
///    "recomputes": b, "save": f, "output": f}
///      {"losses": [x], "trained": [key]}; a language model with the adapter of a folder of PEFT takes steps of AdamW, and
///      the adapter is saved. "output" gets `logits` before the first step and after the last, and `logits.merged` then.
///   {"op": "opened", "adapter": f, "model": "lm"|"base"|"sequence"|"token", "sequences": [[ids]], "output": f}
///      {"folder": f}; the model of an adapter with its base, and in "output" what it gives.
func answerAdapterRequest(_ request: JSONValue) throws -> JSONValue {
    switch request["op"]?.stringValue {
    case "adapters": try withRecovery { try runAdapters(request) }
    case "embedding_step": try withRecovery { try takeEmbeddingStep(request) }
    case "lora": try withRecovery { try takeLoRASteps(request) }
    case "opened": try withRecovery { try runOpenedAdapter(request) }
    default: throw ProbeError("unknown operation; see the head of Interop/Probe/Model/Adapters.swift")
    }
}

private func runAdapters(_ request: JSONValue) throws -> JSONValue {
    let model = try LanguageModel.loadForTraining(folder: text(request, "folder"))
    let weights = try TensorStore.open(file: text(request, "weights")).stateDictionary()
    let scale = request["scale"]?.doubleValue ?? 1
    guard let rank = weights.first(where: { $0.key.hasSuffix(".A") })?.tensor.size(0) else {
        throw ProbeError("no matrix A in \"weights\"")
    }
    for case (let key, let layer as Linear) in model.modules() {
        let names = key.hasSuffix("Wqkv") ? ["lora.q", "lora.k", "lora.v"] : ["lora"]
        let height = layer.outputSize / names.count
        for (index, name) in names.enumerated() {
            let adapter = LowRankAdapter(layer.inputSize, height, rank: rank, scale: scale)
            layer.attach(adapter, as: name, rows: index * height..<(index + 1) * height)
        }
    }
    try model.load(weights.map { ($0.key, $0.tensor.copy()) }, allowingMissing: true)
    model.setRequiresGradient(false)
    model.setRequiresGradient(true) { $0.contains(".lora.") }

    let batch = PackedBatch(rows(request, "sequences"))
    let isCausal = model.configuration.kind == .decoder
    let labels = rows(request, "labels").flatMap { row -> [Int32] in isCausal ? row.dropFirst() + [-100] : row }
    guard labels.count == batch.tokenCount else { throw ProbeError("\"labels\" has not one for each token") }
    let loss = model.loss(
        batch,
        labels: labels,
        training: DropoutContext(recomputesActivations: request["recomputes"]?.boolValue ?? false),
        precision: Precision(rawValue: request["precision"]?.stringValue ?? "") ?? .full
    ).loss
    loss.backward()
    var results = gradients(of: model)
    withoutGradients {
        results.append(("logits", model(batch)))
        model.mergeAdapters()
        results.append(("logits.merged", model(batch)))
        model.unmergeAdapters()
        model.prepackWeights(.float32)
        results.append(("logits.packed", model(batch)))
    }
    try write(results, text(request, "output"))
    return ["loss": JSONValue(try loss.scalar())]
}

private func takeEmbeddingStep(_ request: JSONValue) throws -> JSONValue {
    let model = try EmbeddingModel.loadForTraining(folder: text(request, "folder"))
    model.setRequiresGradient(true)
    let batch = PackedBatch(rows(request, "sequences"))
    let optimizer = AdamW(model.parameters.map(\.tensor), learningRate: request["rate"]?.doubleValue ?? 1e-3)
    let pass = DropoutContext(recomputesActivations: request["recomputes"]?.boolValue ?? false)
    let distances = model(batch, training: pass) - 0.1
    let loss = (distances * distances).mean()
    loss.backward()
    var results = gradients(of: model)
    optimizer.step()
    results.append(("embeddings", withoutGradients { model(batch) }))
    try write(results, text(request, "output"))
    try model.save(folder: text(request, "save"))
    return ["loss": JSONValue(try loss.scalar())]
}

private func takeLoRASteps(_ request: JSONValue) throws -> JSONValue {
    let adapter = try text(request, "adapter")
    // The base before the adapter's products, with the vocabulary that the adapter has.
    let base = try text(request, "folder")
    let folder = try AdapterFolder.opened(adapter, base: base, isMerged: false)
    let model = try LanguageModel.loadForTraining(folder: folder)
    let adapters = try AttachedLoRA(LoRAConfiguration(folder: adapter), to: model, seed: 1)
    try adapters.load(folder: adapter, into: model)
    adapters.freeze(model)
    let batch = PackedBatch(rows(request, "sequences"))
    let isCausal = model.configuration.kind == .decoder
    let labels = rows(request, "labels").flatMap { row -> [Int32] in isCausal ? row.dropFirst() + [-100] : row }
    let optimizer = AdamW(model.trainedParameters.map(\.tensor), learningRate: request["rate"]?.doubleValue ?? 1e-3)
    let pass = DropoutContext(recomputesActivations: request["recomputes"]?.boolValue ?? false)
    var results: StateDictionary = [("logits.before", withoutGradients { model(batch) })]
    var losses: [JSONValue] = []
    for _ in 0..<(request["steps"]?.intValue ?? 0) {
        let loss = model.loss(batch, labels: labels, training: pass).loss
        losses.append(JSONValue(try loss.scalar()))
        for (_, tensor) in model.trainedParameters { tensor.clearGradient() }
        loss.backward()
        optimizer.step()
    }
    try model.save(folder: text(request, "save"))
    let trained = model.trainedParameters.map { JSONValue.string($0.key) }
    withoutGradients {
        results.append(("logits.after", model(batch)))
        model.mergeAdapters()
        results.append(("logits.merged", model(batch)))
    }
    try write(results, text(request, "output"))
    return ["losses": .array(losses), "trained": .array(trained)]
}

private func runOpenedAdapter(_ request: JSONValue) throws -> JSONValue {
    let folder = try AdapterFolder.opened(text(request, "adapter"))
    let batch = PackedBatch(rows(request, "sequences"))
    let output = try withoutGradients {
        switch request["model"]?.stringValue {
        case "base": try ModernBERT.load(folder: folder)(batch)
        case "sequence": try SequenceClassificationModel.load(folder: folder)(batch)
        case "token": try TokenClassificationModel.load(folder: folder)(batch)
        default: try LanguageModel.load(folder: folder)(batch)
        }
    }
    try write([("output", output)], text(request, "output"))
    return ["folder": .string(folder)]
}

// MARK: -

private func gradients(of model: Module) -> StateDictionary {
    model.parameters.compactMap { key, tensor in tensor.gradient.map { ("gradient." + key, $0) } }
}

private func write(_ tensors: StateDictionary, _ path: String) throws {
    try SafetensorsWriter.write(
        tensors.map { TensorToWrite(name: $0.key, tensor: $0.tensor.detached().contiguous()) },
        to: path
    )
}

private func text(_ request: JSONValue, _ key: String) throws -> String {
    guard let text = request[key]?.stringValue else { throw ProbeError("no \"\(key)\"") }
    return text
}

private func rows(_ request: JSONValue, _ key: String) -> [[Int32]] {
    request[key]?.arrayValue?.map { $0.arrayValue?.compactMap(\.intValue).map(Int32.init) ?? [] } ?? []
}

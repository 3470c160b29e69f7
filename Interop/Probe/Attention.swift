// Times attention for Benchmarks/attention/benchmark.py.
//
// Each line of the standard input is a request in JSON, each line of the standard output its answer:
//   {"sequences": 1, "tokens": 8192, "heads": 12, "width": 64, "left": 64, "right": 64, "dtype": "bfloat16"}
//   {"forward": 0.018, "backward": 0.040}
// Negative bounds are none. Queries, keys and values are one matrix and are turned by their positions, as in a model.

import EttinJSON
import Torch

private func measure(_ request: JSONValue) throws -> JSONValue {
    func int(_ key: String) throws -> Int {
        guard let value = request[key]?.intValue else { throw ProbeError("no \"\(key)\"") }
        return value
    }
    guard let name = request["dtype"]?.stringValue, let dtype = DType(rawValue: name) else {
        throw ProbeError("no \"dtype\"")
    }
    let (sequences, tokens, width) = (try int("sequences"), try int("tokens"), try int("width"))
    let (left, right) = (try int("left"), try int("right"))
    let shape = [sequences * tokens, 3, try int("heads"), width]
    let elements = Philox(seed: 1).uniforms(count: shape.reduce(1, *)).map { $0 * 3 - 1.5 }
    let projections = Tensor(elements, shape: shape).to(dtype)
    projections.setRequiresGradient(true)
    let positions = Tensor((0..<sequences).flatMap { _ in (0..<tokens).map(Float.init) }).reshaped(-1, 1)
    let angles = positions * (Tensor.arange(0..<width / 2).to(.float32) * (-8.0 / Double(width))).exp()
    let rotation = Rotation(cosines: angles.cosine(), sines: angles.sine())

    var output = projections
    let lengths = SequenceLengths(cuSeqlens: (0...sequences).map { Int32($0 * tokens) })
    let forward = seconds {
        output = .variableLengthAttention(
            projections: projections,
            lengths: lengths,
            window: AttentionWindow(left: left < 0 ? nil : left, right: right < 0 ? nil : right),
            rotation: rotation
        )
    }
    let loss = (output * output.detached()).sum()
    let backward = seconds { loss.backward() }
    return ["forward": JSONValue(forward), "backward": JSONValue(backward)]
}

func runAttention() throws {
    while let line = readLine() { send(try measure(JSONValue(parsing: line))) }
}

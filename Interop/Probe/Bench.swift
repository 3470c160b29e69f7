// Runs one model in one process for Benchmarks/compare, which times it beside other programs.
//
//   ettin-probe bench FOLDER encode|generate DTYPE THREADS
//
// Loads the model and prints {"operations": […]}; then answers each line of standard input with one line:
//
//   {"op": "encode", "sequences": [[ids]], "repeat": n}      {"seconds": […]}
//   {"op": "generate", "sequences": [[ids]], "new_tokens": n, "repeat": n}
//                                                            {"seconds": […], "tokens": [[ids]]}
//   {"op": "hidden", "sequences": [[ids]]}                   {"hidden": [[[values]]]}
//   {"op": "memory"}                                         {"peak_memory_bytes": n}, the peak since the last such line
//
// What cannot be answered is answered by {"error": "…"}. Tasks on texts are in BenchTexts.swift.

import EttinInference
import EttinJSON
import Torch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

private func sequences(_ request: JSONValue) throws -> [[Int32]] {
    let rows = request["sequences"]?.arrayValue?.map { $0.arrayValue?.compactMap(\.intValue).map(Int32.init) ?? [] }
    guard let rows, !rows.isEmpty, rows.allSatisfy({ !$0.isEmpty }) else {
        throw ProbeError("\"sequences\" holds no ids")
    }
    return rows
}

func timed<Result>(_ request: JSONValue, _ body: () throws -> Result) throws -> (
    seconds: JSONValue, last: Result?
) {
    var times: [JSONValue] = []
    var last: Result?
    for _ in 0..<(request["repeat"]?.intValue ?? 1) {
        let begin = ContinuousClock.now
        last = try body()
        times.append(JSONValue((ContinuousClock.now - begin) / .seconds(1)))
    }
    return (.array(times), last)
}

private func answer(_ request: JSONValue, _ model: BenchmarkModel) throws -> JSONValue {
    switch request["op"]?.stringValue {
    case "encode":
        let ids = try sequences(request)
        return ["seconds": try timed(request) { try model.encode(ids, maxBatchTokens: defaultMaxBatchTokens) }.seconds]
    case "generate":
        let (ids, count) = (try sequences(request), request["new_tokens"]?.intValue ?? 1)
        let (seconds, tokens) = try timed(request) { try model.generate(ids, newTokens: count) }
        return ["seconds": seconds, "tokens": .array((tokens ?? []).map { .array($0.map { JSONValue(Int($0)) }) })]
    case "hidden":
        let states = try model.encode(try sequences(request))
        return [
            "hidden": .array(
                try states.map { state in
                    let values: [Float] = try state.to(.float32).array()
                    return .array(
                        (0..<state.size(0)).map { row in
                            let range = row * state.size(1)..<(row + 1) * state.size(1)
                            return .array(values[range].map { JSONValue(Double($0)) })
                        }
                    )
                }
            )
        ]
    case "memory": return peakMemory()
    default: throw ProbeError("unknown operation; see the head of Interop/Probe/Bench.swift")
    }
}

func peakMemory() -> JSONValue {
    defer { PeakMemory.reset() }
    return ["peak_memory_bytes": JSONValue(PeakMemory.bytes)]
}

private func run(_ arguments: [String]) throws {
    guard arguments.count == 4, let threads = Int(arguments[3]), threads > 0 else {
        throw ProbeError("unknown call; see the head of Interop/Probe/Bench.swift")
    }
    guard let dtype = ComputeDType(rawValue: arguments[2]) else {
        throw ProbeError("no models in \(arguments[2])")
    }
    TorchRuntime.setThreadCount(threads)
    if let task = TextTask(rawValue: arguments[1]) {
        let runner = try TextRunner(folder: arguments[0], task: task, dtype: dtype)
        send(["operations": [.string(task.rawValue), "memory"]])
        serve(runner.answer)
        return
    }
    guard let task = BenchmarkTask(rawValue: arguments[1]) else {
        throw ProbeError("no task \(arguments[1])")
    }
    let model = try BenchmarkModel(folder: arguments[0], task: task, options: ComputeOptions(dtype: dtype))
    send(["operations": task == .encode ? ["encode", "hidden", "memory"] : ["generate", "memory"]])
    serve { try answer($0, model) }
}

func runBench(_ arguments: [String]) {
    do {
        try run(arguments)
    } catch {
        send(["error": .string("\(error)")])
        exit(1)
    }
}

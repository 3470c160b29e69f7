public import EttinJSON

extension PairVerification {
    /// The verdict for people, a line for each run and each finding.
    public var text: String {
        let width = runs.map(\.folder.count).max() ?? 0
        let table = runs.map { run in
            let folder = run.folder + String(repeating: " ", count: width - run.folder.count)
            return "\(folder)  \(run.kind), \(run.objective), \(run.steps) steps, \(run.tokens) tokens, "
                + "chain \("\(run.head)".prefix(12))…"
        }
        return (table + findings + [conclusion]).joined(separator: "\n")
    }

    /// What speaks against a pair, a sentence each; empty for a pair.
    public var findings: [String] {
        var findings = conflicts.map { conflict in
            conflict.shouldAgree
                ? "\(conflict.key) differs: \(conflict.first) and \(conflict.second)"
                : "\(conflict.key) is \(conflict.first) in both; the halves of a pair differ in it"
        }
        switch verdict {
        case .agree: break
        case .prefix(let shorter):
            let (short, long) = (runs[shorter], runs[1 - shorter])
            findings.append(
                "\(short.folder) ends after \(short.steps) of the \(long.steps) steps of \(long.folder), "
                    + "and agrees until then"
            )
        case .differ(let step, let difference):
            findings.append("step \(step) is the first that differs: \(difference.text)")
        case .broken(_, let reason): findings.append(reason)
        }
        if let ordered = runs.first(where: { $0.orderPath != nil }), let path = ordered.orderPath,
            let computed = runs.first(where: { $0.orderPath == nil })
        {
            findings.append(
                "\(ordered.folder) reads the order \(path), which numbers samples from its own start, and "
                    + "\(computed.folder) numbers those of the data: the ledgers differ even where the samples are the "
                    + "same; train both from the order"
            )
        }
        return findings
    }

    private var conclusion: String {
        guard isPair else { return "not a pair" }
        return "a pair: the same data in the same order at each of \(agreeingSteps) steps"
    }

    /// The verdict for programs.
    public var json: JSONValue {
        var object: JSONObject = [
            "pair": JSONValue(isPair), "verdict": .string(verdict.name), "agreeing_steps": JSONValue(agreeingSteps),
        ]
        if case .differ(let step, let difference) = verdict {
            object["step"] = JSONValue(step)
            object["difference"] = .string(difference.name)
        }
        object["findings"] = .array(findings.map(JSONValue.string))
        object["runs"] = .array(
            runs.map { run in
                [
                    "folder": .string(run.folder), "kind": .string(run.kind), "objective": .string(run.objective),
                    "steps": JSONValue(run.steps), "tokens": JSONValue(run.tokens), "chain": .string("\(run.head)"),
                ]
            }
        )
        return .object(object)
    }
}

extension PairVerification.Verdict {
    /// The verdict's name in JSON.
    package var name: String {
        switch self {
        case .agree: "agree"
        case .prefix: "prefix"
        case .differ: "differ"
        case .broken: "broken"
        }
    }
}

extension PairVerification.Difference {
    /// The difference's name in JSON.
    package var name: String {
        switch self {
        case .sampleCount: "sample_count"
        case .tokenCount: "token_count"
        case .batchOrder: "batch_order"
        case .data: "data"
        }
    }

    /// The difference as the end of a sentence.
    package var text: String {
        switch self {
        case .sampleCount(let first, let second): "\(first) and \(second) samples"
        case .tokenCount(let first, let second): "\(first) and \(second) tokens in as many samples"
        case .batchOrder(let other): "the first run's batch is the second's at step \(other)"
        case .data: "as many samples and tokens, but other samples, another order of them, or other tokens"
        }
    }
}

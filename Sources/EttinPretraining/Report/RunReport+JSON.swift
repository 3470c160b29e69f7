import EttinInference
public import EttinJSON
import EttinModel
import EttinReports
import EttinTraining

extension RunReport {
    /// Every number of the report, for programs.
    ///
    /// `runs` has the facts and the whole series of each run, `pairs` the verdicts of the ledgers, `samples` what the
    /// models filled and continued, `warnings` what limits the report. NaN and infinities are null.
    public var json: JSONValue {
        [
            "runs": .array(runs.indices.map(document)),
            "pairs": .array(
                pairs.map { pair in
                    [
                        "first": .string(labels[pair.first]),
                        "second": .string(labels[pair.second]),
                        "pair": .bool(pair.verdict.isPair),
                        "agreeing_steps": JSONValue(pair.verdict.agreeingSteps),
                        "chain": pair.verdict.chain.map(JSONValue.string) ?? .null,
                        "findings": .array(pair.verdict.findings.map(JSONValue.string)),
                    ]
                }
            ),
            "samples": samples.map { .array($0.entries.map(document)) } ?? .null,
            "warnings": .array(warnings.map(JSONValue.string)),
        ]
    }

    private func document(_ index: Int) -> JSONValue {
        let run = runs[index]
        var object: JSONObject = [
            "label": .string(labels[index]),
            "folder": .string(run.folder.path),
            "name": .string(run.name),
            "kind": run.facts["kind"] ?? .null,
        ]
        for key in ["objective", "phase", "parameters", "vocab_size", "data", "eval_data", "ettin", "torch"] {
            object[key] = run.facts[key] ?? .null
        }
        let last = run.metrics.last
        object["batches"] = JSONValue(last?.batch ?? 0)
        object["tokens"] = JSONValue(last?.token ?? 0)
        object["seconds"] = last?.seconds.map { JSONValue($0) } ?? .null
        func optional(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
        let loss = trainingLoss(index)
        object["train_loss"] = optional(loss.end)
        object["train_loss_batches"] = JSONValue(loss.endCount)
        object["eval_loss"] = optional(evaluationLoss(index).last)
        object["eval_accuracy"] = optional(series(accuracyKey(index), index).last)
        object["eval_perplexity"] = optional(series(MetricName.perplexity, index).last)
        if run.isFineTuning {
            object["evaluation"] = .object(
                JSONObject(run.evaluationKeys.map { ($0, optional(series($0, index).last)) })
            )
        }
        object["tokens_per_sec"] = optional(series(MetricName.tokensPerSecond, index).mean)
        object["data_wait_share"] = optional(series(MetricName.dataWaitShare, index).mean)
        object["peak_bytes"] = optional(series(MetricName.peakBytes, index).largest)
        object["checkpoints"] = .array(
            run.checkpoints.map { ["name": .string($0.name), "batch": JSONValue($0.batch), "path": .string($0.path)] }
        )
        let keys = Set(run.metrics.flatMap(\.values.keys)).sorted()
        object["series"] = .object(JSONObject(keys.map { ($0, columns(series($0, index))) }))
        return .object(object)
    }

    private func columns(_ series: MetricSeries) -> JSONValue {
        [
            "batch": .array(series.points.map { JSONValue($0.batch) }),
            "token": .array(series.points.map { JSONValue($0.token) }),
            "value": .array(series.points.map { $0.value.isFinite ? JSONValue($0.value) : .null }),
        ]
    }

    private func document(_ entry: ReportSamples.Entry) -> JSONValue {
        [
            "text": .string(entry.passage.masked),
            "answer": entry.passage.answer.map(JSONValue.string) ?? .null,
            "answers": .array(
                entry.answers.map { run, answer in
                    switch answer {
                    case .fills(let masks):
                        let fills = masks.map { predictions -> JSONValue in
                            .array(
                                predictions.map { ["token_str": .string($0.text), "score": JSONValue($0.score)] }
                            )
                        }
                        return ["run": .string(labels[run]), "masks": .array(fills)]
                    case .continuation(let text):
                        let prompt = entry.passage.prompt ?? ""
                        return ["run": .string(labels[run]), "prompt": .string(prompt), "text": .string(text)]
                    }
                }
            ),
        ]
    }
}

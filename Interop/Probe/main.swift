// Runs parts of the library from outside, for the comparisons with the Python libraries in Interop/ and for Benchmarks/.
// Each subcommand has a file or a folder of its own, which says how it is called.

let arguments = Array(CommandLine.arguments.dropFirst(2))
do {
    switch CommandLine.arguments.dropFirst().first {
    case "adapters": serve(answerAdapterRequest)
    case "attention": try runAttention()
    case "bench": runBench(arguments)
    case "bench-finetune": try runSteps(arguments)
    case "bench-maxsim": try runMaxSimTiming(arguments)
    case "bench-splade": try runSpladeTiming(arguments)
    case "corpus": try runCorpus(arguments)
    case "evaluate": serve(answerEvaluationRequest)
    case "files": try runFiles(arguments)
    case "finetune": try runFineTuning(arguments)
    case "hub": runHub(arguments)
    case "losses": serve(answerLossRequest)
    case "model": try runModel(arguments)
    case "order": runOrder()
    case "scores": serve(answerScoreRequest)
    case "search": try runSearch(arguments)
    case "share": try await runSharing(arguments)
    case "tables": try runTables(arguments)
    case "template": serve(answerTemplateRequest)
    case "tokenizer": try runTokenizer(arguments)
    case "training": try runTraining(arguments)
    default:
        endWithUsage(
            "usage: ettin-probe adapters|attention|bench|bench-finetune|bench-maxsim|bench-splade|corpus|"
                + "evaluate|files|finetune|hub|losses|model|order|scores|search|share|tables|template|tokenizer|training ..."
        )
    }
} catch {
    fail(error)
}

import EttinRecipes
import EttinTraining
import Foundation
import Testing

@testable import EttinPretraining

@Suite("Recipes of runs that are resumed")
struct RecipeChangesTests {
    @Test("Every key of the schema has a rule, and just one")
    func completeness() {
        let sections = PretrainingSchema.recipe.sections
        let paths = Set(sections.map(\.path))
        let rules = RecipeKeyRule.all.map(\.key)
        #expect(Set(rules).count == rules.count)
        // A section with a rule of its own is one value.
        let whole = paths.intersection(rules)
        var keys: Set<String> = []
        for section in sections where !whole.contains(section.path) {
            for key in section.keys.map({ section.path.isEmpty ? $0 : "\(section.path).\($0)" })
            where !paths.contains(key) || whole.contains(key) {
                keys.insert(key)
            }
        }
        #expect(keys.subtracting(rules).sorted() == [], "keys without a rule")
        #expect(Set(rules).subtracting(keys).sorted() == [], "rules without a key")
        for rule in RecipeKeyRule.all {
            #expect((rule.value == nil) == [.fixed, .noValue].contains(rule.rule), "\(rule.key)")
        }
    }

    @Test("A recipe as run.json keeps it is the recipe", arguments: ["17m", "1b", "nano"])
    func roundTrip(size: String) throws {
        let folder = "\(RecipeFiles.folder)/\(size)"
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let recipe = try PretrainingRecipe(path: "\(folder)/\(name)")
            let kept = try PretrainingRecipe(resolved: recipe.resolved, name: "run.json")
            #expect(RecipeChanges(from: kept, to: recipe).changes == [], "\(name)")
            #expect(kept.model == recipe.model && kept.data == recipe.data && kept.checkpoints == recipe.checkpoints)
        }
    }

    @Test(
        "A value that is in force makes a change, of the kind that the key has",
        arguments: [
            ("optimizer.betas=[0.1, 0.5]", ResumeRule.needsAcceptance, "[0.9, 0.98]", "[0.1, 0.5]"),
            ("optimizer.lr=1e-3", .needsAcceptance, "0.003", "0.001"),
            ("optimizer.eps=0.1", .needsAcceptance, "1e-06", "0.1"),
            ("optimizer.weight_decay=0.5", .needsAcceptance, "0.0003", "0.5"),
            ("optimizer.filter_bias_norm_wd=false", .needsAcceptance, "true", "false"),
            ("mlm_probability=0.15", .needsAcceptance, "0.3", "0.15"),
            ("precision=amp_bf16", .needsAcceptance, "fp32", "amp_bf16"),
            ("device_train_microbatch_size=auto", .needsAcceptance, "4", "auto"),
            ("model.model_config.attn_out_dropout_prob=0.5", .needsAcceptance, "0.1", "0.5"),
            ("model.model_config.loss_kwargs.lse_square_scale=0.1", .needsAcceptance, "0.0", "0.1"),
            ("algorithms.gradient_clipping.clipping_threshold=1", .needsAcceptance, "not given", "1.0"),
            ("rules.loss_weighting=intended", .needsAcceptance, "literal", "intended"),
            ("rules.decoder_window=training", .needsAcceptance, "transformers", "training"),
            ("max_duration=200_000tok", .allowed, "100000tok", "200000tok"),
            ("save_interval=5ba", .allowed, "1000ba", "5ba"),
            ("train_loader.num_workers=3", .allowed, "0", "3"),
            ("load_path=x", .spent, "not given", "x"),
        ]
    )
    func changes(override: String, rule: ResumeRule, old: String, new: String) throws {
        let key = String(override.prefix { $0 != "=" })
        let changes = RecipeChanges(from: try RecipeText.recipe(), to: try RecipeText.recipe([override]))
        let change = try #require(changes.changes.first { $0.key == key })
        #expect(changes.changes.count == 1)
        #expect(change.rule == rule && change.old == old && change.new == new)
        #expect(changes.needsAcceptance == (rule == .needsAcceptance))
    }

    @Test("A default that is written out is no change, and neither is a number written otherwise")
    func sameValues() throws {
        let overrides = ["rules.loss_weighting=literal", "optimizer.lr=0.003", "seed=17", "device=cpu"]
        let changes = RecipeChanges(from: try RecipeText.recipe(), to: try RecipeText.recipe(overrides))
        #expect(changes.changes == [])
    }

    @Test("What may not change is refused in one sentence that names all keys with both values")
    func message() throws {
        let changes = RecipeChanges(
            from: try RecipeText.recipe(),
            to: try RecipeText.recipe(["optimizer.eps=0.1", "precision=amp_bf16", "save_interval=5ba"])
        )
        let error = #expect(throws: TrainingError.self) { try changes.check(in: RunFolder("runs/a")) }
        #expect(
            error?.description == "optimizer.eps: is 0.1, but the run in runs/a has 1e-06; precision is amp_bf16 "
                + "instead of fp32; expected the same, --accept-changes to resume with the new values, or another "
                + "save_folder"
        )
    }
}

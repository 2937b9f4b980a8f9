"""No fresh twitch is answered with "no red flag on file" beside a finding, a sign or a disease that is one.

Whoever adds a finding or a code puts it among the red flags or here, among what a harmless twitch may bring.
"""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.knowledge.load import Content
from cds_service.worked_examples import case_of


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Kinds of findings that may be a warning; a duration, a medicine or a composite of others is none by itself.
KINDS = frozenset({"exam", "symptom", "laboratory", "study", "context"})
# Triggers, risks, places, normal results, what was done and planned, and what is left to the mimic card.
HARMLESS = words("""
    heart_failure neuro_seen_after_sign
    abnormal_vital_72h age albumin_doubt alcohol_context aneurysm_clip anticoagulated at_rest b12_risk back_pain
    bp_high_140_90 bp_severe_160_110 bradycardia bronchospasm claustrophobia cochlear_implant cold_exposure
    communication_barrier confusion_known constant contrast_allergy core4_normal_once cramps deceased diarrhoea_72h
    diarrhoea_or_urination electrolyte_risk emg_done emg_normal emg_normal_180d
    emg_preliminary emg_valid exam_documented exam_done exam_entry exam_form_normal exam_limb_normal exam_normal
    exam_normal_once exam_reflexes_documented exam_sentence exam_sentence_normal eyelid_full_closure family_kennedy
    family_nmd family_nmd_named family_thyroid feeding_resumed_10d followup_booked free_t4_after_tsh gut_surgery
    gynaecomastia headache_any_72h heat_sensitivity home_ventilated hospice hyperhidrosis icd insulin_pump
    irregular_pulse known_neuropathy_stable label_confirmed labs_pending lacrimation low_intake_risk
    lymphoedema_or_cellulitis male malignancy_charted
    medicines_known metal_eye metal_level_done mimic_blepharospasm mimic_hemifacial
    mimic_hypnic mimic_joint_moves mimic_myoclonus mimic_painful_cramp mimic_rls mimic_tic mri_brain_done
    mri_cspine_done mri_lspine_done needle_phobia neuro_contact_180d neuro_contact_365d neuro_contact_since_onset_180d
    neuro_review_after_result neurology_booked neurostimulator nicotine nocturnal ophth_contact_90d
    ophthalmology_booked order_pending_emg_mri_referral organ_care_recent other_implant over_breathing pacemaker
    paed_neurology_booked postpartum_6wk power_normal power_sentence_normal pregnancy_words pregnant pregnant_20wk
    pregnant_early progressive radiotherapy_6m recent_encounter_90d replacement_ordered sensation_normal severe sex
    site_arms_only site_eyelid site_eyelid_only site_face_beyond_eyelid site_focal site_legs_only site_migrating
    site_widespread spreading stones_or_bones strenuous_exercise_7d sweating_acute t3_after_tsh tachycardia_100
    thoracic_pain thyroid_risk trigger_alcohol trigger_anxiety trigger_caffeine trigger_dehydration trigger_exercise
    trigger_eye_strain trigger_sleep_poor trigger_stress trigger_viral_90d twitch_confirmed_exam twitch_current
    twitch_refuted twitch_sites twitch_words_on_other_code umn_explained vegan_diet viral_infection_before_onset
""")
# Each is drawn from a finding that is a red flag: its place, its side, its degree, or the words for it.
PART_OF_ANOTHER = words("""
    emg_severe_carpal_tunnel thenar_wasting wasting_beyond_thumb
    arm_region_sign arm_sign_limb arm_sign_located arm_signs_both_sides arms_both_weak brain_sign_onset_unstated
    bulbar_region_sign bulbar_sign_located ck_over_3_repeated clonus_inducible clonus_spontaneous
    coarse_tremor_charted cognition_subacute_charted confusion_plain distal_arm_sign drowsy_confused_charted
    ecg_potassium_change_charted face_one_sided feeding_resumed_charted head_injury_charted hr_over_130
    hyperreflexia_72h hyperreflexia_asymmetric_or_with_other hyperreflexia_stated_pathological
    jaw_or_trunk_rigidity_charted leg_region_sign leg_sign_located limb_both_legs limb_signs_both_sides
    myasthenia_charted myoclonus_72h new_af_charted reflex_loss_on_both_sides sensory_located_in_arm
    sensory_located_in_leg
    sensory_on_both_legs temp_ge_38_5 tremor_72h trunk_region_sign trunk_sign_located weak_in_leg
    weakness_located_in_both_legs weakness_located_in_leg weakness_of_old_stroke
""")
HARMLESS_CODES = words("""
    aneurysm_clip anticoagulation anxiety_disorder anxiety_symptom back_pain benign_fasciculation_syndrome
    bleeding_disorder blepharospasm caffeine_intoxication cancer claustrophobia cochlear_implant contrast_allergy
    cramp_fasciculation_syndrome dehydration diabetes diaphoresis eyelid_myokymia facial_myokymia family_history_mnd
    fasciculation fatigue functional_neuro gestation_weeks gynaecomastia heart_icd heart_pacemaker hemifacial_spasm
    hyperventilation insomnia lacrimation lymphedema metal_fragment muscle_cramp myalgia myoclonus myokymia neck_pain
    neurostimulator normal_neuro_exam palliative_hospice periodic_limb_movement postviral pregnancy restless_legs
    severe_headache sleep_deprivation stimulant_use sweating tic tourette vitamin_d_deficiency
""")
NO_CODE = frozenset({"bronchorrhoea", "head_drop", "myokymia_generalised", "refeeding"})  # only broader codes exist
FRESH = ({"patient": {"age": 45}}, {"twitch": "5 days ago", "site": "right hand"})


def withheld(given: Any, knowledge: Any, reading: Any) -> bool:
    return bool(case_of(given, knowledge, reading)["d1_short_withheld"].present)


def flags_of(row: Any) -> list[str]:
    """What a row of the red flags is present for: a name, or the first of several conditions."""
    return [row] if isinstance(row, str) else list(row["all"][:1])


def test_every_finding_keeps_the_short_reassurance_away_or_is_harmless(
    content: Content, knowledge: Any, reading: Any
) -> None:
    asked = {name for name, spec in content.findings.items() if spec["kind"] in KINDS and "when" not in spec}
    silent = {name for name in asked if not withheld({name: "present"}, knowledge, reading)}
    assert silent == HARMLESS | PART_OF_ANOTHER


def test_what_keeps_the_reassurance_away_is_named(content: Content) -> None:
    named = set(content.cards["TW24"]["names"])
    flags = {
        name for group in content.findings["red_flag"]["when"]["any"] for row in group["any"] for name in flags_of(row)
    }
    assert flags <= named


@pytest.mark.parametrize(("table", "sketch"), [("findings", "exam"), ("conditions", "problem")])
def test_every_code_keeps_the_short_reassurance_away_or_is_harmless(
    table: str, sketch: str, content: Content, knowledge: Any, reading: Any
) -> None:
    entry = {"exam": {"value": "yes", "on": "today"}, "problem": {"onset": "4 days ago"}}[sketch]
    concepts = {name for name, concept in content.codes.concepts.items() if concept["kind"] == table} - NO_CODE
    silent = {c for c in concepts if not withheld([*FRESH, {sketch: c, **entry}], knowledge, reading)}
    assert silent == concepts & HARMLESS_CODES

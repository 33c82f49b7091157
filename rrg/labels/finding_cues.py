"""Cues of the rule labeler in `rrg.labels.findings`: negation, uncertainty, and where the scope of a cue ends.

The patterns are matched against normalised text, as described in `rrg.labels.finding_rules`. The kinds of cues are
those of NegEx (Chapman et al. 2001), with comparisons of likelihood ("more likely than") added.

The scope of a cue is its clause. A clause ends at a sentence end or at a termination.
"""

from __future__ import annotations

# After a comma or "and", these words start a new positive statement ("no effusion, mild cardiomegaly").
_NEW_TOPIC = (
    r"(?:stable|unchanged|mild|mildly|moderate|moderately|minimal|small|chronic|persistent|possible|possibly"
    r"|probable|probably|likely|questionable|there|the|this|these)"
)
_SEEN = (
    r"(?:seen|identified|present|visuali[sz]ed|evident|demonstrated|appreciated|noted|detected|visible|apparent|observed"
    r"|found|shown)"
)
_COPULA = r"(?:is|are|was|were|be|been|has|have)"
# After a comma, words with one of these predicates are a new statement: "no pneumothorax, left effusion is larger".
# "Is seen" is not one of them, because it may belong to a list of findings: "no pneumothorax, effusion is seen".
_STATES = (
    rf"(?:(?:is|are|was|were|has|have)(?! (?:\w+ ){{0,2}}(?:{_SEEN}|developed|suspected|suggested|occurred))"
    r"|(?:may|might|could)(?! be)|(?:(?:is|are|was|were) )?again|measur(?:es?|ing)|remains?|persists?|appears?"
    r"|projects?|terminates?|ends?|overl(?:ies|ie)"
    r"|in (?:\w+ )?(?:place|situ|position)|tip|unchanged|stable|increased|decreased|worsened|improved|larger|smaller"
    r"|\d+(?:\.\d+)? [cm]m (?:above|below))"
)
_SUBJECT = r"(?:(?!(?:or|nor|and|no|not|without|that|to|if) )[a-z0-9][a-z0-9'.]* ){1,8}?"
# Two subjects of one plural verb: "the catheter and the chest tube have been removed".
_SECOND_SUBJECT = r"the (?:[a-z]+ ){0,3}[a-z]*[a-rt-z] (?:are|were|have) "
TERMINATIONS = (
    r"\.|;|but|however|although|though|except|otherwise|which|whereas|while|after|following|status post|despite",
    r"aside from|other than|apart from|limited by|shows?|reveals?|demonstrates",
    r"(?<!consistent )(?<!compatible )(?<!associated )(?<!concordant )with",
    r"(?<!if )there (?:is|are|has|have|may|appears?)",
    rf"(?:,|and|, and)(?= {_NEW_TOPIC} )(?! {_SECOND_SUBJECT})",
    r",(?= (?:old|healed) )",
    rf",(?= {_SUBJECT}(?:{_STATES}|(?:is|was|has) (?:not|no longer)) )",
    rf"and(?= {_SUBJECT}(?!are |were |have ){_STATES} )",
)

_DEGREE = r"(?:(?:significant|interval|appreciable|substantial|definite|major|acute|other|further|relevant) )*"
_BARELY = r"(?:well|clearly|fully)"
_OTHER_IMAGE = r"(?:priors?|previous|comparison|earlier|old|older|lateral|frontal|pa)"
_GONE = r"(?:resolved|cleared|disappeared|removed|gone|discontinued|taken out|pulled(?! back))"
_NOT_QUITE = (
    r"(?:not|never|incompletely|partially|partly|nearly|almost|mostly|largely|mainly|somewhat|only|slowly|gradually)"
)
_IN_PART = r"(?:somewhat|partially|partly|incompletely|in part)"
_NOT_ALL = (
    r"(?:no|without|incomplete|partial|near|nearly|almost|subtotal|some|minimal|mild|moderate|continued|continuing"
    r"|ongoing|further|gradual|slow|progressive)"
)
_CONSIDERED = r"(?:(?:felt|thought|considered|believed|deemed) )?(?:to be )?"
_IS = rf"(?:{_COPULA} {_CONSIDERED}(?:\w+ )?)?"
# Phrases that contain a negation but do not negate a finding: "no change in the effusion", "not yet resolved".
PSEUDO_NEGATIONS = (
    rf"(?:no|without) {_DEGREE}(?:changes?|increase|decrease|progression|improvement)(?: (?:in|of|from|since))?",
    rf"(?:no|without) {_DEGREE}(?:worsening|growth|reduction|regression) (?:in|of)",
    r"not (?:\w+ )?(?:changed|increased|decreased|only|necessarily)",
    r"no doubt",
    rf"{_NOT_QUITE} (?:(?:yet|been|be|all|\w+ly) ){{0,3}}{_GONE}",
    rf"{_NOT_ALL} (?:(?:complete|total|interval|significant|definite|further|partial|evidence of) ){{0,2}}"
    r"(?:resolution|clearing)(?: of)?",
    r"(?:fail(?:s|ed|ure)?|yet) to (?:be )?(?:\w+ )?(?:resolved?|clear(?:ed)?|disappear|removed)",
    r"(?:can|could|should|may|might|must|will|to) (?:now )?be (?:\w+ )?removed",
    r"(?:until|pending|for|document|ensure|confirm|verify|establish|to (?:demonstrate|show|assess|evaluate)) (?:for )?"
    r"(?:(?:the|complete|full|interval) ){0,2}(?:resolution|clearing|resolved|cleared|removal)(?: of)?",
    r"removal of (?:one|some|part)",
)
# The finding is a question, a past event or a limitation of the method: the text does not assess it in this image.
NOT_ASSESSED = (
    r"if (?:there|clinical|clinically|concern|symptoms|suspicion)",
    r"(?:history|hx|symptoms|treatment) (?:of|for)",
    r"(?:evaluated?|evaluation|assess|assessment|screening|correlate|correlation|sensitiv(?:e|ity)) (?:for|in)",
    r"please note that",
)
# Before a finding: it is absent.
NEGATIONS = (
    r"no|without|neither|nor|negative (?:for|of)|absence of|absent|lack of",
    r"(?:free|clear|devoid) (?:of|from)|rather than|instead of|fails? to",
    r"(?:resolution|clearing|removal) of",
    r"not (?:\w+ ){0,2}(?:demonstrate|show|see|have|suggest|represent|indicate)",
    r"not (?:\w+ ){0,2}(?:consistent|compatible|typical|suspicious)|not (?:very )?likely",
    rf"(?:not|no longer) (?:\w+ )?{_SEEN} (?:is|are|was|were)",
    r"resolved(?= (?!since|in|from|on|compared)[a-z])|unlikely|improbable",
)
# After a finding: it is absent.
POST_NEGATIONS = (
    rf"(?:{_COPULA} (?:\w+ )?)?(?:not|no longer) (?:(?!{_BARELY} )\w+ ){{0,2}}{_SEEN}"
    rf"(?! (?:is|are|was|were|(?:on|in) (?:\w+ ){{0,2}}{_OTHER_IMAGE})\b)",
    rf"(?:cannot|can not|could not) be (?:(?!{_BARELY} )\w+ )?{_SEEN}",
    rf"(?:has|have) (?:(?!{_NOT_QUITE} )\w+ ){{0,3}}(?:resolved|cleared|disappeared|removed)(?! {_IN_PART})",
    rf"{_COPULA} (?:(?!{_NOT_QUITE} )\w+ )?(?:absent|negative|ruled out|excluded|{_GONE})(?! {_IN_PART})",
    rf"{_IS}(?:unlikely|improbable)(?! (?:to|due|represents?|related))|{_IS}not (?:very )?likely(?! \w)",
    rf"(?:{_COPULA} )?no longer in (?:place|situ)",
    # The verdict after a heading: "pneumothorax: no". Normalised text has "none" for "no" at the end of a statement.
    r"none(?! of)|(?:negative|absent|(?:no|without) (?:\w+ )?evidence)(?! \w)",
    rf"{_GONE}(?! \w)|(?:resolved|removed|cleared) (?:since|in|from|on|compared)|removal(?! of)",
)
# Before a finding: it is uncertain although the phrase contains a negation ("cannot exclude").
NOT_EXCLUDED = (r"(?:cannot|can not|could not|not) (?:be )?(?:\w+ )?(?:exclude|rule out)|(?:without|not) excluding",)
# After a finding: the same.
POST_NOT_EXCLUDED = (
    rf"(?:{_COPULA} )?(?:cannot|can not|could not|not) (?:be )?(?:\w+ )?(?:be )?(?:\w+ )?(?:excluded|ruled out)",
    rf"(?:{_COPULA} )?difficult to (?:\w+ )?exclude(?! \w)|(?:is|are) a (?:\w+ )?(?:possibility|consideration)",
)
# Before a finding: it is uncertain.
UNCERTAINTIES = (
    r"possib\w+|probab\w+|potential(?:ly)?|question(?:able|ably|ed)?|equivocal",
    r"difficult to exclude|(?:to )?(?:exclude|rule out)|\?",
    r"may|might|could|perhaps|presum\w+|suspec\w+|suspicio\w+|concern\w*|worrisome|(?<!age )indeterminate",
    r"suggest\w*|likely|favou?r\w*|differential|consider(?:ation|ations|ed)?|borderline|either",
    r"more (?:compatible|consistent|typical|in keeping)|(?:not clear|unclear|uncertain) (?:if|whether)",
)
# After a finding: it is uncertain.
POST_UNCERTAINTIES = (
    rf"(?:(?:is|are) {_CONSIDERED}(?:\w+ )?)?(?:possible|probable|suspected|questioned|questionable|equivocal"
    r"|(?<!age )indeterminate|borderline|considered|likely|favou?red)(?! \w)",
    r"(?:may|might|could) be (?:present|considered)",
    r"(?:is|are) the (?:\w+ ){0,2}(?:consideration|possibility|diagnosis|explanation)",
    rf"(?:{_COPULA} )?not (?:as )?{_BARELY} {_SEEN}",
)
# Between two findings: both are uncertain.
ALTERNATIVES = (
    r"(?:versus|vs|and or)(?! (?:the )?(?:prior|previous|comparison))",
    rf"{_IS}(?:(?:more|less) (?:likely|probable) than|(?:as|equally) (?:likely|probable) as)",
    rf"{_IS}(?:favou?red over|preferred (?:over|to))",
)

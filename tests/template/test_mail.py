"""Mail: what the stack creates in SES, and in the hosted zone of the sender's domain."""

from tests.template.conftest import MAIL
from tests.template.stack import Stack

KINDS = ("AWS::SES::ConfigurationSet", "AWS::SES::EmailIdentity", "AWS::Route53::RecordSetGroup")
ZONE = {"HostedZoneId": "Z123"}


def created(stack: Stack) -> set[str]:
    return {name for kind in KINDS for name in stack.of_type(kind)}


def test_a_stack_without_a_sender_has_nothing_of_ses(stack: Stack) -> None:
    assert created(stack) == set()
    assert not [name for name in stack.resources if name.startswith("Mail")]


def test_a_stack_with_a_sender_is_that_stack_with_resources_for_mail(prod: Stack, mailing: Stack) -> None:
    assert mailing.resources.keys() - prod.resources.keys() == {
        *("MailConfiguration", "MailEndpoint", "MailFailedAlarm"),
        *("MailSenderGroup", "MailGroup", "MailAcceptsSenders"),
    }
    for name in ("AuthFunction", "UsersFunction"):
        variables = mailing.properties(name)["Environment"]["Variables"]
        assert variables["MAIL_FROM"] == MAIL["MailFrom"]
        assert variables["APP_URL"] == MAIL["AppUrl"]
        assert variables["MAIL_CONFIGURATION_SET"] == "MailConfiguration"


def test_bounces_and_complaints_suppress_an_address_and_links_are_sent_over_tls(mailing: Stack) -> None:
    assert mailing.properties("MailConfiguration") == {
        "Name": "social",
        "SuppressionOptions": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
        "DeliveryOptions": {"TlsPolicy": "REQUIRE"},
    }


def test_a_hosted_zone_verifies_the_domain_of_the_sender() -> None:
    stack = Stack("dev", **MAIL, **ZONE)
    assert stack.properties("MailIdentity") == {
        "EmailIdentity": "mail.example.com",
        "DkimSigningAttributes": {"NextSigningKeyLength": "RSA_2048_BIT"},
    }
    assert stack.properties("MailRecords") == {
        "HostedZoneId": "Z123",
        "RecordSets": [
            {
                "Type": "CNAME",
                "TTL": "1800",
                "Name": f"MailIdentity.DkimDNSTokenName{number}",
                "ResourceRecords": [f"MailIdentity.DkimDNSTokenValue{number}"],
            }
            for number in (1, 2, 3)
        ],
    }


def test_a_hosted_zone_alone_verifies_nothing() -> None:
    assert created(Stack("dev", **ZONE)) == set()
    assert created(Stack("dev", **MAIL)) == {"MailConfiguration"}
